"""The trials of the lab. The lab runs the trials in this order."""

from ..trial import Trial
from . import bodies, events, forgeries, repeats

TRIALS = (
    Trial("genuine", "A genuine event", events.try_genuine),
    Trial("twice_at_once", "Two simultaneous requests contain the same event", repeats.try_twice_at_once),
    Trial("answer_too_late", "The answer comes too late, and the provider retries", repeats.try_answer_too_late),
    Trial("statuses", "The statuses of a message", events.try_statuses),
    Trial("out_of_order", "Events in the wrong order", repeats.try_out_of_order),
    Trial("early_status", "A status that comes too early", repeats.try_early_status),
    Trial("day_late", "An event that happened a day ago", events.try_day_late),
    Trial("forged", "A forged signature", forgeries.try_forged),
    Trial("missing", "No signature", forgeries.try_missing),
    Trial("other_bytes", "The signature of another event", forgeries.try_other_bytes),
    Trial("stale", "An old signature", forgeries.try_stale),
    Trial("two_signatures", "The event has two signatures, because the secret was changed", events.try_two_signatures),
    Trial("respelled", "An event with unusual spaces and escapes", events.try_respelled),
    Trial("unknown_field", "An unknown field", events.try_unknown_field),
    Trial("unknown_event", "An unknown event", events.try_unknown_event),
    Trial("empty", "An empty body", bodies.try_empty),
    Trial("huge", "A huge body", bodies.try_huge),
    Trial("cut", "A request that is cut off", bodies.try_cut),
    Trial("slow", "A slow request", bodies.try_slow),
    Trial("twice_later", "At the end, the lab posts the first event again", repeats.try_twice_later),
    Trial("alive", "At the end, the lab posts a new genuine event", events.try_alive),
)
