"""The threats, and for each what is done about it and which tests show that; a test that is renamed is missed here."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

THREATS: dict[str, tuple[str, ...]] = {
    "exposed page: loopback; without a token file nothing is taken, wherever it listens": (
        "unit/web/test_gate.py::test_without_a_token_file_nothing_can_be_commanded",
        "component/test_web.py::test_nothing_can_be_changed_over_it",
        "unit/commands/test_check_secrets.py::test_a_page_that_all_can_reach_is_told",
    ),
    "DNS rebinding: the Host is loopback, ours or a configured name": (
        "unit/web/test_hosts.py::test_a_host_of_somebody_else_is_not",
        "unit/web/test_guard.py::test_two_hosts_are_none",
        "unit/web/test_commands_on_a_socket.py::test_a_path_that_names_another_host_is_no_way_round_ours",
    ),
    "CSRF: a socket of mode 0600; over TCP token, JSON type and header of ours; no foreign origin, no CORS": (
        "process/test_control.py::test_pause_unload_frees_the_memory_and_resume_brings_the_model_back",
        "unit/web/test_gate.py::test_nobody_else_may",
        "unit/web/test_gate.py::test_nothing_but_a_post_is_a_command",
        "unit/web/test_guard.py::test_a_foreign_origin_changes_nothing_and_may_read_nothing",
    ),
    "guessed tokens: at least 128 bits from a file, each failure delayed and counted": (
        "unit/web/test_token.py::test_what_can_be_guessed_is_refused_and_not_shown",
        "unit/web/test_gate.py::test_guesses_are_taken_one_a_second_and_the_right_token_waits_for_none_of_them",
        "unit/web/test_gate.py::test_wrong_tokens_are_counted_and_told_once_a_minute",
    ),
    "SSRF and redirects: http(s) alone, none followed, link-local refused": (
        "faults/test_alerts.py::test_fault_F9_a_redirect_is_never_followed",
        "faults/test_alerts.py::test_fault_F9_a_link_local_address_is_refused",
        "faults/test_answers.py::test_fault_B10_redirects",
        "unit/report/notify/test_services.py::test_an_address_that_hands_out_credentials_is_refused",
    ),
    "hostile answers: 4 MiB decoded, strict JSON, names shown as text": (
        "unit/ollama/test_body.py::test_a_bomb_is_left_at_its_first_piece",
        "unit/ollama/test_any_bytes.py::test_any_answer_is_a_fact_or_an_error",
        "faults/test_answers.py::test_fault_B7_wrong_types",
    ),
    "injection into log and HTML: JSON or an escaped line; a page that makes no markup of text": (
        "unit/report/test_log.py::test_foreign_text_cannot_write_lines_or_steer_a_terminal",
        "unit/web/test_page.py::test_the_script_makes_no_markup_of_text_and_names_no_other_place",
        "unit/web/test_page.py::test_the_document_holds_no_script_or_style_and_asks_nobody_else",
        "unit/web/test_stream.py::test_what_a_model_is_called_ends_no_line_of_the_stream",
        "unit/report/notify/test_compose.py::test_no_foreign_name_breaks_a_message",
        "e2e/test_page.py::test_a_hostile_name_is_text_wherever_it_stands",
    ),
    "secrets in what is told: from files only, hidden where they come back, taken out of every line": (
        "faults/test_secrets.py::test_fault_F10_whoever_is_asked_sends_our_secrets_back",
        "faults/test_process.py::test_fault_F10_secrets_in_every_place",
        "unit/report/test_log.py::test_secrets_are_taken_out_of_every_line",
        "unit/report/test_log.py::test_an_exception_is_told_by_its_text_and_place_without_what_it_holds",
        "unit/config/test_bad_files.py::test_no_message_holds_a_secret",
        "unit/config/test_values.py::test_what_looks_like_a_secret_in_place_of_its_file_is_refused_and_not_shown",
        "unit/ollama/test_failures.py::test_what_a_server_sends_back_of_our_secrets_is_hidden",
        "unit/report/notify/test_services.py::test_a_url_at_the_end_of_what_is_told_is_not_told_in_part",
    ),
    "YAML: plain values only, no key twice, no bomb; a secret that others can read is told": (
        "unit/config/test_yaml.py::test_a_hostile_megabyte_is_refused_at_once",
        "unit/config/test_yaml.py::test_a_key_that_is_given_twice_keeps_its_first_value",
        "unit/config/test_bad_files.py::test_a_bad_file_is_refused_in_these_words",
        "unit/commands/test_check_secrets.py::test_a_file_that_holds_a_secret_and_that_others_can_read_is_told",
    ),
    "the token of Ollama: to the configured origin alone, over TLS but on loopback": (
        "unit/config/test_load.py::test_a_token_may_travel_over_https_or_on_this_machine",
        "unit/config/test_load.py::test_a_token_of_the_file_does_not_follow_a_flag_to_an_open_server",
        "faults/test_answers.py::test_fault_B5_not_ollama_on_the_port",
        "unit/ollama/test_sockets.py::test_a_proxy_of_the_environment_is_not_used",
    ),
    "Ollama itself: a closed list of calls; what is open or vulnerable is told": (
        "faults/test_controls.py::test_a_double_turns_exactly_its_check_red",
        "unit/core/test_checkup.py::test_a_version_is_told_by_its_known_faults",
        "unit/commands/test_check_secrets.py::test_a_server_that_is_open_to_all_and_a_token_that_all_can_read_are_told",
    ),
    "what we are built from: few parts, pinned by hash, no stored secret, nothing that runs by itself": (
        "unit/test_packaging.py::test_the_core_installs_few_packages_and_ours",
        "unit/test_packaging.py::test_each_pin_of_a_lock_is_one_version_with_hashes",
        "deploy/test_workflows.py::test_no_secret_is_stored_for_a_release",
        "process/test_wheel.py::test_the_wheel_holds_the_package_its_page_and_its_units_and_nothing_else",
    ),
    "slow clients: 5 s for a request, many idle ones keep nobody out": (
        "unit/web/test_serving.py::test_a_request_that_does_not_come_whole_in_time_is_given_up",
        "unit/web/test_serving.py::test_a_client_that_sends_a_byte_a_second_is_given_up_all_the_same",
        "unit/web/test_serving.py::test_a_thousand_idle_connections_keep_nobody_out",
        "unit/web/test_stream.py::test_at_most_so_many_listen_and_who_leaves_makes_room",
    ),
}


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.partition(":")[0])
def test_each_threat_has_tests_that_are_there(threat: str) -> None:
    missing = [test for test in THREATS[threat] if not there(test)]
    assert missing == []


def test_a_test_that_is_not_there_would_be_missed() -> None:
    assert not there("unit/web/test_gate.py::test_nobody_else")


def there(test: str) -> bool:
    path, _, name = test.partition("::")
    text = (TESTS / path).read_text(encoding="utf-8")
    return re.search(rf"^(async )?def {name}\(", text, re.MULTILINE) is not None
