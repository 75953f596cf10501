"""The fixed numbers of CONTRACT 8, each with the reason for its value. Seconds unless the name says otherwise."""

SUSPECT_AFTER_S = 5.0  # a look that is silent for so long: ask /api/version, which takes no lock
RECHECK_S = 2.0
DOWN_AFTER = 3
RECONNECT_FIRST_S = 1.0
RECONNECT_MOST_S = 30.0
SAY_WAITING_EVERY_S = 60.0

QUICK_LOOK_S = 3.0
QUICK_LOOK_OLD_S = 30.0  # below 0.32.4 a look during a load can end the server (OLLAMA.md 5)

TAGS_EVERY_S = 300.0
TAGS_WHILE_MISSING_S = 60.0
TAGS_FRESH_S = 1.0  # so young they tell whose the digest of a guest is

BACKOFF_FIRST_S = 5.0
BACKOFF_MOST_S = 300.0
BREAKER_FAILURES = 3
BREAKER_DISPLACEMENTS = 3
BREAKER_WINDOW_S = 600.0
OUTBID_WITHIN_S = 300.0  # of our load: who comes back so soon, and thrice in an hour, will not give way
BREAKER_FIRST_S = 300.0
BREAKER_MOST_S = 21_600.0
FAILED_LOADS_AN_HOUR = 12
HOUR_S = 3_600.0
DAY_S = 86_400.0
FULL_FOR_S = DAY_S
FULL_UNPROVED_S = HOUR_S  # a better model's load that cost a lesser one may have met it in the wrong order

HUNG_FACTOR = 3.0
HUNG_LEAST_S = 600.0
HUNG_UNKNOWN_S = 1_800.0  # where no load of that model is known

GRACE_FACTOR = 1.5
GRACE_MOST_S = 600.0
GAP_LEAST_S = 30.0  # a guest may load longer than any of ours
GAP_UNKNOWN_S = 60.0  # where no load is known yet

CLIENT_LEASE_UNMOVED_S = 60.0
ROOM_SHARE = 0.75  # of the free memory; Ollama loads beside others what is foretold to take 0.8 of it (OLLAMA.md 4)
TESTED_WITHIN_S = 1.0  # from the answer of the idle test's ping to the look behind it
MAKES_WAY_WITHIN_S = 30.0  # what was unloaded while idle is gone at the next look
IDLE_TEST_EVERY_S = 60.0
IDLE_FOR_S = 1.0  # an idle test speaks of the moment: what it allows must be sent at once
YOUNG_LOAD_S = 30.0  # no ping beside a load of ours that is younger
PING_IS_LOAD_S = 5.0
REPAIR_IDLE_S = 60.0
PROBE_RETRY_S = 60.0  # a failed probe is made sure of soon
PROBE_FAILURES = 2
QUARREL_RELOADS = 3  # by clients, within an hour
UNLOADS_TOLD = 3  # by clients, within an hour
STUCK_AFTER_S = 300.0
PING_RETRY_S = 60.0
RELOADS_A_DAY = 2
RELOAD_FRACTION = 0.5
RELOAD_FLOOR_S = 0.2  # the server polls its child's health each 250 ms, so no load is quicker (OLLAMA.md 11)

PINNED_AHEAD_S = 20 * 365.25 * DAY_S
REPIN_MARGIN_S = (
    1.0  # a request within 3 ms of the expiry may be served and the model unloaded all the same (OLLAMA.md 1)
)
TIME_SLACK_S = 2.0  # Date headers are whole seconds, and expires_at is set up to a second after the answer
EMBEDDER_ECHO_LEAST = 2_048
