"""The verdicts of the lab: what an app can do wrong, the consequences in production, and what to do.

If a correct app can behave in this way, the verdict is only a warning. A trial with only warnings does not fail.
"""

from typing import Literal, NamedTuple

Severity = Literal["failure", "warning"]


class Verdict(NamedTuple):
    """One thing that an app can do wrong. `name` never changes."""

    name: str
    title: str
    why: str  # what goes wrong in production
    fix: str
    severity: Severity = "failure"


_VERDICTS = (
    Verdict(
        "refused_genuine",
        "refused a genuine event",
        "The app loses events. The provider repeats them for a while and then gives up. Some providers disable the"
        " webhook.",
        "Answer 2xx to every event with a valid signature. Check the secret in the app. Check the clock of the app's"
        " machine. Compute the signature from the unchanged body and the unchanged URL.",
    ),
    Verdict(
        "answered_late",
        "answered too late",
        "The provider stops waiting before the answer comes. The provider counts the event as failed, and posts the"
        " event again. Then the app does the work again. A busy app becomes even slower.",
        "Store the event, answer immediately, and do the work afterwards.",
    ),
    Verdict(
        "slow",
        "answered slowly",
        "The provider waits for a limited time. The app used more than half of this time. Under load, the app's answers"
        " will come too late.",
        "Store the event, answer immediately, and do the work afterwards.",
        "warning",
    ),
    Verdict(
        "no_answer",
        "gave no answer",
        "The provider counts the event as failed and posts it again. Perhaps the app has already handled the event.",
        "Answer every request. Look for an exception in the log of the app.",
    ),
    Verdict(
        "not_running",
        "refused the connection",
        "The provider counts the event as failed and posts it again later.",
        "Start the app, if it is not running. Check the host and the port of the URL.",
    ),
    Verdict(
        "bad_twiml",
        "answered with TwiML that can't be used",
        "The sender of the message gets no reply, and Twilio logs an error.",
        "If the app wants to reply, answer with a <Response> and the content type text/xml. Otherwise, answer with an"
        " empty body.",
    ),
    Verdict(
        "accepted_forgery",
        "accepted a forgery",
        "Everyone who knows the URL can post false events. For example, they can fake a received message from any"
        " phone number.",
        "First check the signature of each request. If the signature is missing or wrong, answer 401 or 403.",
    ),
    Verdict(
        "answered_forgery",
        "ignored a forgery, but answered 2xx instead of 401 or 403",
        "Nobody notices an attack, because the answer looks like a success. If the app has a wrong secret, it ignores"
        " all genuine events. The answer 2xx then tells the provider that the app has handled these events.",
        "If the signature is missing or wrong, answer 401 or 403.",
        "warning",
    ),
    Verdict(
        "accepted_replay",
        "accepted an old signature",
        "An attacker can copy one request, for example from a log, and post it again at any later time.",
        "Compare the time in the header webhook-timestamp with the current time. If the difference is more than five"
        " minutes, refuse the request.",
    ),
    Verdict(
        "refused_two_signatures",
        "refused an event that has two signatures",
        "After a change of the secret, each event has two signatures for some time: one with the new secret, and one"
        " with the old secret. The app loses these events.",
        "The header webhook-signature contains several signatures, with spaces between them. If one of these"
        " signatures is right, accept the event.",
    ),
    Verdict(
        "refused_respelled",
        "refused a genuine event that is written in an unusual way",
        "The same data can be written in several ways. The app parses the data, and then encodes the data again. The"
        " app computes the signature from the result, not from the received bytes. So the app will refuse genuine"
        " events, for example events with an emoji.",
        "Compute the signature from the received bytes, before you parse them. With Twilio, compute it from all decoded"
        " parameters.",
    ),
    Verdict(
        "refused_unknown_field",
        "refused an event that contains an unknown field",
        "Providers add fields without notice. After such a change, the app refuses all events.",
        "Ignore unknown fields. With Twilio, use every received parameter to compute the signature.",
    ),
    Verdict(
        "failed_on_unknown_event",
        "failed on an event that it does not know",
        "Providers add new events without notice. The app will fail on each new event, and the provider will repeat the"
        " event.",
        "If the app does not know an event, answer 2xx and ignore the event.",
    ),
    Verdict(
        "refused_unknown_event",
        "refused an event that it does not know",
        "The provider repeats the event for a day or more. Some providers disable a webhook that fails for a long"
        " time.",
        "If the app does not know an event, answer 2xx and ignore the event.",
        "warning",
    ),
    Verdict(
        "refused_unknown_message",
        "refused the status of an unknown message",
        "To send a message, the app makes a request. Sometimes the status of the message comes before the answer to"
        " this request. At that time, the app has not stored the message yet. If the app refuses the status, some"
        " providers never post this status again.",
        "Store the status and the id of the message, and answer 2xx. When the app has stored the message, use the"
        " status.",
        "warning",
    ),
    Verdict(
        "refused_day_late",
        "refused an event that happened a day ago",
        "After an outage, providers post the events that happened during the outage. The app refuses all these events.",
        "To find the age of a request, compare the time in the header webhook-timestamp with the current time. Do not"
        " use the time in the event for this check. The time in the event says when the event happened.",
    ),
    Verdict(
        "other_second_answer",
        "gave a different answer the second time",
        "If the first answer is lost or late, the provider posts the event again. Then the provider uses the second"
        " answer, not the first. If the second answer is an error, the provider counts the event as failed. If the"
        " first answer contains a reply but the second answer does not, the person gets no reply.",
        "Give the same answer to a repeated event: a status 2xx, and the same TwiML.",
    ),
    Verdict(
        "other_reply",
        "replied with a different text the second time",
        "If the first answer is lost or late, the provider uses the second answer. Then the person gets only the"
        " second text.",
        "Make sure that both replies are right. If both replies must have the same text, store the first reply"
        " together with the event's id. Then use the stored reply.",
        "warning",
    ),
    Verdict(
        "refused_parallel",
        "refused one of two simultaneous requests with the same event",
        "The provider posts the event again later, and the app then accepts it. Until then, the provider's log shows a"
        " failure.",
        "If possible, answer 2xx to both requests.",
        "warning",
    ),
    Verdict(
        "handled_twice",
        "handled an event twice",
        "Providers deliver an event at least once, and sometimes twice. A person then gets two replies, or pays twice.",
        "Store the id of each event in a column with a unique index. Do this in the transaction that does the work."
        " Ignore an event if its id is already stored.",
    ),
    Verdict(
        "lost_event",
        "accepted an event, but did not handle this event",
        "If the app answers 2xx, the provider does not post the event again. The event is lost.",
        "Store the event before you answer. Perhaps the app handles an event a long time after its answer. In this"
        " case, run phonify lab with a larger value of --patience.",
    ),
    Verdict(
        "handled_nothing",
        "handled no event",
        "The app ignored all received messages. If the app answers 2xx, the provider does not post the event again.",
        "If the app does not use received messages, do nothing. Otherwise, store the event before you answer. Perhaps"
        " the app handles an event a long time after its answer. In this case, run phonify lab with a larger value of"
        " --patience.",
        "warning",
    ),
    Verdict(
        "took_older_state",
        "replaced a state with an older state",
        "Events can arrive in the wrong order. The app then shows the older state for a delivered message.",
        "Compare the times of the events, and ignore an older event. As an alternative, never change a final state.",
    ),
    Verdict(
        "refused_older",
        "refused an older status that came after a newer status",
        "The provider posts the event again for a day or more, although the app will always refuse it.",
        "If an event is older than the current state, answer 2xx and ignore the event.",
    ),
    Verdict(
        "lost_early_status",
        "lost a status that came too early",
        "To send a message, the app makes a request. Sometimes the status of the message comes before the answer to"
        " this request. The app then never shows this status.",
        "If the app has not stored the message yet, store the status and the id of the message. When the app has"
        " stored the message, use the status.",
    ),
    Verdict(
        "server_error",
        "answered with a server error",
        "Anybody can fill the log of the app with errors. A real error is then hard to find.",
        "If the app can't read a request, answer with a status 4xx.",
        "warning",
    ),
    Verdict(
        "accepted_cut",
        "accepted a request that was cut off",
        "The app then handles an event that is not complete.",
        "Compare the length of the body with Content-Length. Check the signature.",
    ),
    Verdict(
        "refused_slow",
        "refused a genuine event that came in several pieces",
        "On a slow connection, the body comes in several pieces. The app loses these events.",
        "Read the whole body before you use it.",
    ),
    Verdict(
        "stopped_answering",
        "became unavailable because of a bad request",
        "With one request, anybody can make the app unavailable for all users.",
        "Look for the exception that ended the process. Catch all exceptions that a bad request can cause.",
    ),
    Verdict(
        "probe_unusable",
        "has a probe that can't be used",
        "The lab can't check what the app does with an event.",
        'Answer GET with JSON such as {"handled": 1, "state": "delivered"}. See the guide to the lab.',
    ),
    Verdict(
        "not_finished",
        "was too slow for the lab",
        "The app answered so slowly that the lab could not finish all trials.",
        "Answer immediately, and do the work afterwards.",
    ),
)
VERDICTS = {verdict.name: verdict for verdict in _VERDICTS}
