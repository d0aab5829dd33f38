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
        "Answer 2xx to every event with a valid signature. Check the secret of the app and the clock of its machine."
        " Compute the signature from the unchanged body and the unchanged URL.",
    ),
    Verdict(
        "answered_late",
        "answered too late",
        "The provider stops waiting before the answer comes. It counts the event as failed and posts it again. Then the"
        " app does the work again. A busy app becomes even slower.",
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
        "Answer with a <Response> and the content type text/xml, or with an empty body.",
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
        "ignored a forgery, but answered 2xx",
        "Nobody notices an attack, because the answer looks like a success. If the secret is wrong, the app ignores all"
        " events, but the provider thinks that the app has handled them.",
        "If the signature is missing or wrong, answer 401 or 403.",
        "warning",
    ),
    Verdict(
        "accepted_replay",
        "accepted an old signature",
        "An attacker can copy one request, for example from a log, and post it again at any later time.",
        "Compare webhook-timestamp with the clock of the app's machine. Refuse the request if the difference is more"
        " than five minutes.",
    ),
    Verdict(
        "refused_two_signatures",
        "refused an event that has two signatures",
        "After a change of the secret, each event has two signatures for some time: one with the new secret, and one"
        " with the old secret. The app loses these events.",
        "Split webhook-signature at the spaces. Accept the event if one of the signatures is right.",
    ),
    Verdict(
        "refused_respelled",
        "refused a genuine event that contains unusual spaces and escapes",
        "The same data can be written in several ways. The app parses the data, writes it again in its own way, and"
        " computes the signature of this copy. So it will refuse genuine events, for example events with an emoji.",
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
        "refused a status about an unknown message",
        "To send a message, the app makes a request. The provider can post a status of the message before it answers"
        " this request. At that time, the app does not know the message yet. Some providers never repeat a refused"
        " status.",
        "Store the status with the id of the message, and answer 2xx. Use the status as soon as the app knows the"
        " message.",
        "warning",
    ),
    Verdict(
        "refused_day_late",
        "refused an event that happened a day ago",
        "After an outage, providers post the events that happened during the outage. The app refuses all these events.",
        "To check the age of a request, compare webhook-timestamp with the current time. The time in the event has"
        " another meaning: it says when the event happened.",
    ),
    Verdict(
        "other_second_answer",
        "gave a different answer the second time",
        "If the first answer is lost or late, the provider posts the event again, and only the second answer counts."
        " If the second answer is an error, the provider counts the event as failed. If the second answer contains no"
        " reply, the person gets no reply.",
        "Give the same answer to a repeated event: a status 2xx, and the same TwiML.",
    ),
    Verdict(
        "other_reply",
        "replied with a different text the second time",
        "If the first answer is lost or late, the provider uses the second answer. Then the person gets only the"
        " second text.",
        "Make sure that both replies are right. If the replies must be the same, store the reply with the id of the"
        " event.",
        "warning",
    ),
    Verdict(
        "refused_parallel",
        "got the same event in two simultaneous requests, and refused one request",
        "The provider posts the event again later, and the app then accepts it. Until then, the provider's log shows a"
        " failure.",
        "Answer both requests with 2xx, if this is possible.",
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
        "accepted an event and did not handle it",
        "After an answer 2xx, the provider never posts the event again. The event is lost.",
        "Store the event before you answer. If the app needs more time after its answer, increase the option --patience"
        " of the command phonify lab.",
    ),
    Verdict(
        "handled_nothing",
        "handled no event",
        "The app ignored all received messages. The provider never posts an accepted event again.",
        "If the app does not use received messages, do nothing. Otherwise store the event before you answer. If the"
        " app needs more time after its answer, increase the option --patience of the command phonify lab.",
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
        "refused an event that came in the wrong order",
        "The provider posts the event again for a day or more, although the app will always refuse it.",
        "If an event is older than the current state, answer 2xx and ignore the event.",
    ),
    Verdict(
        "lost_early_status",
        "lost a status that came too early",
        "To send a message, the app makes a request. The provider can post a status of the message before it answers"
        " this request. The app then never shows this status.",
        "Store the status with the id of the message, even if the app does not know the message yet. Use the status as"
        " soon as the app knows the message.",
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
        "stopped answering after a bad request",
        "Anybody can stop the app for all users with one request.",
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
