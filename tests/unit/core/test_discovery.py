"""The addresses of a name: the last list is kept on failure, and an address is gone after two absences."""

from ollama_keeper.core.address import Address
from ollama_keeper.core.discovery import Found, found
from ollama_keeper.ollama.discovery import member


def after(*answers: set[str] | None) -> tuple[str, ...]:
    seen = Found()
    for answer in answers:
        seen = found(seen, answer)
    return seen.addresses


def test_a_failure_keeps_the_last_list() -> None:
    assert after({"10.0.0.1", "10.0.0.2"}, None, None, None) == ("10.0.0.1", "10.0.0.2")


def test_an_empty_answer_tells_nothing() -> None:
    assert after({"10.0.0.1"}, set(), set()) == ("10.0.0.1",)


def test_one_absence_is_forgiven_and_two_are_not() -> None:
    both, one = {"10.0.0.1", "10.0.0.2"}, {"10.0.0.1"}
    assert after(both, one) == ("10.0.0.1", "10.0.0.2")
    assert after(both, one, both, one) == ("10.0.0.1", "10.0.0.2")
    assert after(both, one, one) == ("10.0.0.1",)


def test_a_failure_between_two_absences_does_not_count_as_one() -> None:
    both, one = {"10.0.0.1", "10.0.0.2"}, {"10.0.0.1"}
    assert after(both, one, None) == ("10.0.0.1", "10.0.0.2")


def test_a_member_is_asked_by_the_name_and_told_by_its_address() -> None:
    site = Address("ollama.svc:11434", "dns+https://ollama.svc:11434/prefix")
    one, six = member(site, "10.0.0.1"), member(site, "fd00::1")
    assert (one.name, one.url, one.asked_as) == ("10.0.0.1:11434", "https://10.0.0.1:11434/prefix", "ollama.svc")
    assert (six.name, six.url) == ("[fd00::1]:11434", "https://[fd00::1]:11434/prefix")


def test_a_named_site_names_its_members() -> None:
    assert member(Address("gpu", "dns+http://ollama.svc:11434"), "10.0.0.1").name == "gpu@10.0.0.1"
