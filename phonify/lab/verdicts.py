"""The verdicts of the lab.

A verdict describes a mistake of an app. It says what the mistake causes in production, and how to fix the mistake.

A warning describes behaviour that is also possible in a correct app. If all verdicts of a trial are warnings, the trial
does not fail.
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
        "The app refused a genuine event",
        "The app loses events. The provider repeats them for a while and then gives up. Some providers disable the"
        " webhook.",
        "Answer 2xx to every event with a valid signature. Check the secret of the app and the clock of its machine."
        " Check the signature before the app changes the body or the URL.",
    ),
    Verdict(
        "answered_late",
        "The app answered too late",
        "The provider stops waiting before the answer comes. It counts the event as failed and posts it again. Then the"
        " app does the work again. A busy app becomes even slower.",
        "Store the event, answer immediately, and do the work afterwards.",
    ),
    Verdict(
        "slow",
        "The app answered slowly",
        "The provider waits for a limited time. The app used more than half of this time. Under load, the app's answers"
        " will come too late.",
        "Store the event, answer immediately, and do the work afterwards.",
        "warning",
    ),
    Verdict(
        "no_answer",
        "The app gave no answer",
        "The provider counts the event as failed and posts it again. Perhaps the app has already handled the event.",
        "Answer every request. Look for an exception in the log of the app.",
    ),
    Verdict(
        "not_running",
        "The app refused the connection",
        "The provider counts the event as failed and posts it again later.",
        "Start the app, if it is not running. Check the host and the port of the URL.",
    ),
    Verdict(
        "bad_twiml",
        "The app answered with TwiML that can't be used",
        "The sender of the message gets no reply, and Twilio logs an error.",
        "To send a reply, answer with a <Response>, and set Content-Type to text/xml. To send no reply, answer with an"
        " empty body.",
    ),
    Verdict(
        "accepted_forgery",
        "The app accepted a forgery",
        "Everyone who knows the URL can post false events. For example, they can fake a received message from any"
        " phone number.",
        "First check the signature of each request. If the signature is missing or wrong, answer 401 or 403.",
    ),
    Verdict(
        "answered_forgery",
        "The app ignored a forgery, but answered 2xx",
        "The answer looks like a success. So nobody notices an attack. If the app has a wrong secret, it ignores all"
        " events. The provider counts these events as handled, because the app answers 2xx.",
        "If the signature is missing or wrong, answer 401 or 403.",
        "warning",
    ),
    Verdict(
        "accepted_replay",
        "The app accepted a request with an old signature",
        "An attacker can copy one request, for example from a log, and post it again at any later time.",
        "The webhook-timestamp header contains the time of the request. Compare this time with the current time. If the"
        " difference is more than five minutes, refuse the request.",
    ),
    Verdict(
        "refused_two_signatures",
        "The app refused an event that has two signatures",
        "After a change of the secret, each event has two signatures for some time: one with the new secret, and one"
        " with the old secret. The app loses these events.",
        "Split the value of the webhook-signature header at each space. If one of the signatures is right, accept the"
        " event.",
    ),
    Verdict(
        "refused_respelled",
        "The app refused a genuine event whose data is written in an unusual way",
        "The same data can be written in several ways, for example with more spaces or with escape sequences. The app"
        " parses the data, writes it again in its own way, and computes the signature of this copy. So it will refuse"
        " genuine events, for example events with an emoji.",
        "Compute the signature from the received bytes, before you parse them. With Twilio, compute it from all decoded"
        " parameters.",
    ),
    Verdict(
        "refused_unknown_field",
        "The app refused an event that contains an unknown field",
        "Providers add fields without notice. After such a change, the app refuses all events.",
        "Ignore unknown fields. With Twilio, use every received parameter to compute the signature.",
    ),
    Verdict(
        "failed_on_unknown_event",
        "The app failed when it got an unknown kind of event",
        "Providers add new events without notice. The app will fail on each new event, and the provider will repeat the"
        " event.",
        "If the kind of an event is unknown to the app, answer 2xx and ignore the event.",
    ),
    Verdict(
        "refused_unknown_event",
        "The app refused an unknown kind of event",
        "The provider repeats the event for a day or more. Some providers disable a webhook that fails for a long"
        " time.",
        "If the kind of an event is unknown to the app, answer 2xx and ignore the event.",
        "warning",
    ),
    Verdict(
        "refused_unknown_message",
        "The app refused the status of a message that the app does not know",
        "To send a message, the app makes a request. The provider can post a status of the message before it answers"
        " this request. At that time, the app does not know the message yet. If the app refuses a status, some"
        " providers never post this status again.",
        "Store the status with the id of the message, and answer 2xx. When the app knows the message, apply the"
        " stored status to the message.",
        "warning",
    ),
    Verdict(
        "refused_day_late",
        "The app refused an event that happened a day ago",
        "After an outage, providers post the events that happened during the outage. The app refuses all these events.",
        "To check the age of a request, use the webhook-timestamp header. It contains the time of the request."
        " Compare this time with the current time. The time in the event has another meaning: it says when the event"
        " happened.",
    ),
    Verdict(
        "other_second_answer",
        "The app gave a different answer the second time",
        "If the first answer is lost or late, the provider posts the event again. Then it uses the second answer, and"
        " ignores the first answer. If the second answer is an error, the provider counts the event as failed. If the"
        " second answer contains no reply for the phone, the provider sends nothing to the phone.",
        "If the same event comes again, give the same answer as the first time: a status 2xx and the same TwiML.",
    ),
    Verdict(
        "other_reply",
        "The app replied with a different text the second time",
        "If the first answer is lost or late, the provider uses the second answer. Then the person gets only the"
        " second text.",
        "Make sure that both replies are right. If both replies must be the same, store the first reply together with"
        " the id of the event.",
        "warning",
    ),
    Verdict(
        "refused_parallel",
        "The app got the same event in two simultaneous requests, and refused one of the requests",
        "The provider posts the event again later, and the app then accepts it. Until then, the provider's log shows a"
        " failure.",
        "If possible, answer both requests with 2xx.",
        "warning",
    ),
    Verdict(
        "handled_twice",
        "The app handled an event twice",
        "Providers deliver each event at least once. They can deliver an event twice. A person then gets two replies,"
        " or pays twice.",
        "Store the id of each event in a column with a unique index. Store the id in the same transaction as all"
        " other changes for this event. Ignore an event if its id is already stored.",
    ),
    Verdict(
        "lost_event",
        "The app accepted an event, but did not handle it",
        "If the app answers 2xx, the provider never posts the event again. The event is lost.",
        "Store the event before you answer. If the app needs more time to handle events, run the command phonify lab"
        " again. Use a larger value for the option --patience.",
    ),
    Verdict(
        "handled_nothing",
        "The app handled no event",
        "If the app needs received messages, it has lost them. After an answer 2xx, the provider does not repeat an"
        " event.",
        "If the app does not use received messages, do nothing. Otherwise store the event before you answer. If the"
        " app needs more time to handle events, run the command phonify lab again. Use a larger value for the option"
        " --patience.",
        "warning",
    ),
    Verdict(
        "took_older_state",
        "The app changed the state of a message back to an older state",
        "Events can arrive in the wrong order. The app then shows the older state for a delivered message.",
        "Compare the times of the events. If the app has already handled a later event of the same message, ignore"
        " the older event. As an alternative, never change a final state.",
    ),
    Verdict(
        "refused_older",
        "The app refused an event that came in the wrong order",
        "The app refuses the event every time. But the provider repeats the event for a day or more.",
        "If the app has already handled a later event of the same message, answer 2xx and ignore the older event.",
    ),
    Verdict(
        "lost_early_status",
        "The app lost a status that came before the app had stored the message",
        "To send a message, the app makes a request. The provider can post a status of the message before it answers"
        " this request. The app then never shows this status.",
        "Store the status together with the id of the message. Do this even if the app has not stored the message"
        " yet. When the app has stored the message, apply the stored status to the message.",
    ),
    Verdict(
        "server_error",
        "The app answered with a server error",
        "Anybody can fill the log of the app with errors. A real error is then hard to find.",
        "If the app can't read a request, answer with a status 4xx.",
        "warning",
    ),
    Verdict(
        "accepted_cut",
        "The app accepted an incomplete request",
        "The app then handles an event that is not complete.",
        "Compare the length of the body with Content-Length. Check the signature.",
    ),
    Verdict(
        "refused_slow",
        "The app refused a genuine event that came in several pieces",
        "On a slow connection, the body comes in several pieces. The app loses these events.",
        "Read the whole body before you use it.",
    ),
    Verdict(
        "stopped_answering",
        "After a bad request, the app no longer accepted genuine events",
        "With one bad request, anybody can make the app unavailable for all users.",
        "Look for the exception that ended the process. Catch all exceptions that a bad request can cause.",
    ),
    Verdict(
        "probe_unusable",
        "The app has a probe that can't be used",
        "The lab can't check what the app does with an event.",
        'Answer GET with JSON such as {"handled": 1, "state": "delivered"}. See the guide to the lab.',
    ),
    Verdict(
        "not_finished",
        "The app was too slow for the lab",
        "The app answered so slowly that the lab could not finish all trials.",
        "Answer immediately, and do the work afterwards.",
    ),
)
VERDICTS = {verdict.name: verdict for verdict in _VERDICTS}
