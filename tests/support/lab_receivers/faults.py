"""The faults of the apps that the lab tries, and the verdicts that it must give about them."""

from .app import STANDARD_SECRET, TWILIO_SECRET

SECRETS = {"standard": STANDARD_SECRET, "twilio": TWILIO_SECRET}

# Correct apps. The lab may give them a warning, but no failure.
CORRECT = {
    "standard": {
        "": set[str](),
        "no_prepare": set[str](),
        "refuses_unknown": set[str](),
        "busy": {"refused_parallel"},
        "refuses_unknown_event": {"refused_unknown_event"},
        "ignores_received": {"handled_nothing"},
    },
    "twilio": {
        "": set[str](),
        "no_prepare": set[str](),
        "busy": {"refused_parallel"},
        "refuses_unknown_event": {"refused_unknown_event"},
        "ignores_received": {"handled_nothing"},
    },
}

# Apps that are wrong in one way, and the only verdict about each of them.
WRONG = {
    "standard": {
        "missing": "accepted_forgery",
        "no_time": "accepted_replay",
        "reserialized": "refused_respelled",
        "one_signature": "refused_two_signatures",
        "strict_fields": "refused_unknown_field",
        "event_time": "refused_day_late",
        "twice": "handled_twice",
        "race": "handled_twice",
        "conflict": "other_second_answer",
        "older": "took_older_state",
        "ignores_unknown": "lost_early_status",
        "forgets": "lost_event",
        "unknown_event": "failed_on_unknown_event",
        "redirect": "refused_genuine",
        "wrong_secret": "refused_genuine",
        "crash": "stopped_answering",
        "bad_probe": "probe_unusable",
    },
    "twilio": {
        "missing": "accepted_forgery",
        "fixed_parameters": "refused_unknown_field",
        "strict_fields": "refused_unknown_field",
        "twice": "handled_twice",
        "race": "handled_twice",
        "conflict": "other_second_answer",
        "older": "took_older_state",
        "ignores_unknown": "lost_early_status",
        "refuses_unknown": "lost_early_status",
        "forgets": "lost_event",
        "unknown_event": "failed_on_unknown_event",
        "redirect": "refused_genuine",
        "wrong_secret": "refused_genuine",
        "crash": "stopped_answering",
        "bad_probe": "probe_unusable",
        "bad_twiml": "bad_twiml",
    },
}
