"""The trials of the lab, in their order."""

from ..trial import Trial
from . import bodies, events, forgeries, repeats

TRIALS = (
    Trial("genuine", "A genuine event", events.try_genuine),
    Trial("twice_at_once", "The same event twice at the same time", repeats.try_twice_at_once),
    Trial("answer_too_late", "A retry after an answer that came too late", repeats.try_answer_too_late),
    Trial("statuses", "The statuses of a message", events.try_statuses),
    Trial("out_of_order", "Events in the wrong order", repeats.try_out_of_order),
    Trial("early_status", "A status that comes too early", repeats.try_early_status),
    Trial("day_late", "An event that happened a day ago", events.try_day_late),
    Trial("forged", "A forged signature", forgeries.try_forged),
    Trial("missing", "No signature", forgeries.try_missing),
    Trial("other_bytes", "The signature of another event", forgeries.try_other_bytes),
    Trial("stale", "An old signature", forgeries.try_stale),
    Trial("two_signatures", "Two signatures after a change of the secret", events.try_two_signatures),
    Trial("respelled", "An event that is written in an unusual way", events.try_respelled),
    Trial("unknown_field", "An unknown field", events.try_unknown_field),
    Trial("unknown_event", "An unknown event", events.try_unknown_event),
    Trial("empty", "An empty body", bodies.try_empty),
    Trial("huge", "A huge body", bodies.try_huge),
    Trial("cut", "A request that is cut off", bodies.try_cut),
    Trial("slow", "A slow request", bodies.try_slow),
    Trial("twice_later", "The first event again at the end", repeats.try_twice_later),
    Trial("alive", "A genuine event at the end", events.try_alive),
)
