"""The verdicts of the lab: what an app can do wrong, the consequences in production, and what to do.

A warning does not make a trial fail, because a correct app can have a reason for it.
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
        " Check that the app uses the body and the URL exactly as it received them.",
    ),
    Verdict(
        "answered_late",
        "answered too late",
        "The provider has given up before the answer comes. It counts the event as failed and posts it again. So the"
        " work is done again, and a busy app becomes even slower.",
        "Store the event, answer at once, and do the work afterwards.",
    ),
    Verdict(
        "slow",
        "answered slowly",
        "The app used more than half of the time that the provider waits. Under load, its answers will come too late.",
        "Store the event, answer at once, and do the work afterwards.",
        "warning",
    ),
    Verdict(
        "no_answer",
        "gave no answer",
        "The provider counts the event as failed and posts it again, although the app may have handled it.",
        "Answer every request. Look into the log of the app for an exception that has ended the request.",
    ),
    Verdict(
        "not_running",
        "refused the connection",
        "The provider counts the event as failed and posts it again later.",
        "Is the app running at this address? Start it, and check the host and the port of the URL.",
    ),
    Verdict(
        "bad_twiml",
        "answered with TwiML that can't be used",
        "The person who has written to the app gets no reply, and Twilio logs an error.",
        "Answer with the content type text/xml and a <Response>, or with an empty answer.",
    ),
    Verdict(
        "accepted_forgery",
        "accepted a forgery",
        "Everyone who knows the URL can post false events, such as a text in the name of any phone.",
        "Check the signature of each request before anything else, and refuse a missing or wrong one with 401 or 403.",
    ),
    Verdict(
        "answered_forgery",
        "answered a forgery with 2xx, but did nothing",
        "Nobody notices an attack, because the answer looks like a success. Nobody notices a wrong secret either: the"
        " provider thinks that its events are handled, but the app ignores them.",
        "Refuse a missing or wrong signature with 401 or 403.",
        "warning",
    ),
    Verdict(
        "accepted_replay",
        "accepted an old signature",
        "Somebody who has recorded one request, for example from a log, can post it again at any later time.",
        "Refuse a request whose webhook-timestamp is more than five minutes away from the time of the app's machine.",
    ),
    Verdict(
        "refused_two_signatures",
        "refused an event with two signatures",
        "For some time after a change of the secret, each event has two signatures: one for the new secret, and one"
        " for the former secret. The app loses these events.",
        "Split webhook-signature at the spaces. Accept the event if one of the signatures is right.",
    ),
    Verdict(
        "refused_respelled",
        "refused a genuine event that is written another way",
        "The same JSON or form can be written in several ways. The app writes it again in its own way, and computes"
        " the signature of this text. So it will refuse genuine events, for example those with an emoji.",
        "Compute the signature of the body exactly as it came, before you parse it. With Twilio, compute it of all"
        " decoded parameters.",
    ),
    Verdict(
        "refused_unknown_field",
        "refused an event with a field that it does not know",
        "Providers add fields without notice. From that day on, the app refuses all events.",
        "Ignore fields that the app does not know. With Twilio, check the signature of all parameters that came.",
    ),
    Verdict(
        "failed_on_unknown_event",
        "failed on an event that it does not know",
        "Providers add events without notice. The app will fail on each of them, and the provider repeats it.",
        "If the app does not know an event, answer 2xx and ignore the event.",
    ),
    Verdict(
        "refused_unknown_event",
        "refused an event that it does not know",
        "The provider repeats the event, for a day or more. Some providers disable a webhook that fails for long.",
        "If the app does not know an event, answer 2xx and ignore the event.",
        "warning",
    ),
    Verdict(
        "refused_unknown_message",
        "refused a status of a message that it does not know",
        "A status can arrive before the answer to the request that sent the message. Then the app does not know the"
        " message yet. Some providers never repeat a refused status.",
        "Store the status with the id, and answer 2xx. Use the status as soon as the message is known.",
        "warning",
    ),
    Verdict(
        "refused_day_late",
        "refused an event that happened a day ago",
        "After an outage, providers post the events that happened meanwhile. The app refuses all of them.",
        "Compare only webhook-timestamp with the current time. The time in the event says when the event happened.",
    ),
    Verdict(
        "other_second_answer",
        "gave another answer the second time",
        "If the first answer is lost or late, the provider posts the event again, and only the second answer counts."
        " Then an event that was handled counts as failed, or the person gets no reply.",
        "Answer a repeated event as you answered it the first time: with 2xx, and with the same TwiML.",
    ),
    Verdict(
        "other_reply",
        "replied with another text the second time",
        "If the first answer is lost or late, the person gets the second reply.",
        "Make sure that both replies are right. Store the reply with the id of the event if they must be the same.",
        "warning",
    ),
    Verdict(
        "refused_parallel",
        "refused one of two equal events that came at once",
        "The provider posts the event again later, and the app then accepts it. Until then, its log shows a failure.",
        "Answer both with 2xx if the app can.",
        "warning",
    ),
    Verdict(
        "handled_twice",
        "handled an event twice",
        "Providers deliver an event at least once, so sometimes twice. A person then gets two replies, or pays twice.",
        "Store the id of each event in the transaction that does the work, with a unique index. Skip ids that are"
        " stored.",
    ),
    Verdict(
        "lost_event",
        "accepted an event and did not handle it",
        "The provider has got an answer 2xx, so it never posts the event again. The event is lost.",
        "Store the event before you answer. If the app handles events later, give the command lab a longer --patience.",
    ),
    Verdict(
        "handled_nothing",
        "handled no event",
        "If the app should use these events, it has lost them. The provider never posts an accepted event again.",
        "If the app does not use received messages, do nothing. Otherwise store the event before you answer. If the"
        " app handles events later, give the command lab a longer --patience.",
        "warning",
    ),
    Verdict(
        "took_older_state",
        "took the older state",
        "Events can arrive in another order. The app then shows a delivered message as only sent.",
        "Compare the times of the events, or never change a final state.",
    ),
    Verdict(
        "refused_older",
        "refused an event that came after a later one",
        "The provider posts the event again, for a day or more, although it can never succeed.",
        "If an event comes too late to matter, answer 2xx and ignore the event.",
    ),
    Verdict(
        "lost_early_status",
        "lost a status that came before the answer to the send",
        "A status can arrive before the answer to the request that sent the message. The app then shows this message"
        " as waiting forever.",
        "Store the status with the id, even if the message is not known yet. Use it as soon as the message is known.",
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
        "The app may handle half of an event.",
        "Check that the body is as long as Content-Length says, and check its signature.",
    ),
    Verdict(
        "refused_slow",
        "refused a genuine event that came slowly",
        "On a slow connection, the body comes in several pieces. The app loses these events.",
        "Read the whole body before you use it.",
    ),
    Verdict(
        "stopped_answering",
        "stopped answering after a bad request",
        "One request, which anybody can send, stops the app for everybody.",
        "Look for the exception that ended the process. Catch all exceptions that a bad request can cause.",
    ),
    Verdict(
        "probe_unusable",
        "has a probe that can't be used",
        "The lab can't check what the app does with an event.",
        'Answer GET with JSON such as {"handled": 1, "state": "delivered"}. See the guide of the lab.',
    ),
    Verdict(
        "not_finished",
        "was too slow for the lab",
        "The app answers so slowly that the lab ended without some trials.",
        "Answer at once, and do the work afterwards.",
    ),
)
VERDICTS = {verdict.name: verdict for verdict in _VERDICTS}
