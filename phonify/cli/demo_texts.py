"""The conversations of `phonify serve --demo`, between an invented bicycle shop and its customers.

Some phone numbers are reserved for films and books. The others are special numbers of the stub gateway. The time
96 means 96 minutes before the demo starts. The pair (2, "15:20") means 15:20 UTC, two days before the demo starts.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

When = int | tuple[int, str]

APP = "+15005550006"  # the phone number of the shop
REPLIES = {
    "stop_reply": "Acme Bikes: we will send you no more texts. Reply START if you change your mind.",
    "start_reply": "Acme Bikes: welcome back! Reply STOP at any time to get no more texts.",
    "help_reply": "Acme Bikes: our workshop is open 9:00 to 18:00, Monday to Saturday. Reply STOP to end these texts.",
}
READ_UNTIL = timedelta(minutes=45)  # later messages from phones are unread


class Text(NamedTuple):
    """A text in a conversation. If `sent` is True, the app sends the text. Otherwise, the phone sends it."""

    when: When
    body: str
    sent: bool
    days_ahead: int | None = None  # if the text is scheduled: days after the start, at 9:00 UTC

    def find_moment(self, start: datetime) -> datetime:
        """Return the time when the message was written. The argument `start` is the time when the demo begins."""
        if isinstance(self.when, int):
            return start - timedelta(minutes=self.when)
        days, time = self.when
        hour, minute = map(int, time.split(":"))
        return (start - timedelta(days=days)).replace(hour=hour, minute=minute, second=11)


def _app(when: When, body: str, *, days_ahead: int | None = None) -> Text:
    return Text(when, body, sent=True, days_ahead=days_ahead)


def _phone(when: When, body: str) -> Text:
    return Text(when, body, sent=False)


CONVERSATIONS = {
    "+12025550143": [
        _app(
            (2, "15:20"), "Acme Bikes: your order 2071 is packed. Your parcel arrives tomorrow between 9:00 and 11:00."
        ),
        _phone((2, "15:34"), "Great! Can the driver leave it at the blue door?"),
        _app((2, "15:41"), "Sure, we have told the driver: blue door."),
        _app(96, "482193 is your Acme code. It is valid for 10 minutes. Never share it."),
        _app(
            68,
            "Your parcel has arrived, and you have signed for it. Does the helmet fit?\nReceipt: https://acme.example/r/2071",
        ),
        _phone(14, "Like a glove 👍 One question: does the rear light come with a battery?"),
        _app(9, "It does, and you can charge it with any USB-C cable."),
        _phone(3, "Perfect, thank you. See you at the spring check!"),
    ],
    "+447700900123": [
        _app((3, "10:05"), "Acme Bikes: your spring check is due. Reply with a day that suits you."),
        _phone((3, "12:48"), "Thursday after 4 would be good"),
        _app((3, "12:55"), "Booked: Thursday at 16:30. Please bring your lock and its key."),
        _app(41, "Acme Bikes: see you today at 16:30. Reply 1 to confirm, or 2 for another time.", days_ahead=1),
    ],
    "+491713920042": [
        _app(
            (2, "9:12"),
            "Acme Bikes: Ihr Rad ist geprüft. Bremsen [24 €], Kette und Ritzel [58 €], Licht [19 €], zusammen 101 €."
            " Sollen wir anfangen? Antworten Sie mit JA oder NEIN.",
        ),
        _phone((2, "9:40"), "JA, bitte. Bis wann ist es fertig?"),
        _app((2, "9:47"), "Bis morgen um 17 Uhr."),
        _app((1, "16:12"), "Ihr Rad ist fertig und steht für Sie bereit. Schöne Grüße aus der Werkstatt!"),
        _phone(27, "Super, ich komme um fünf vorbei."),
    ],
    "+33639980012": [
        _app(
            (1, "11:30"),
            "Acme Bikes : ça y est, votre vélo est arrivé ! 🚲 Passez le chercher à l’atelier dès aujourd’hui,"
            " jusqu’à 18 h.",
        ),
        _phone((1, "11:52"), "Merci ! Je passe à la fermeture."),
        _app(118, "Merci de votre visite. Votre avis nous aide : https://acme.example/avis"),
    ],
    "+46701740635": [
        _app(35, "Your Acme code is 730518\n\n@acme.example #730518"),
    ],
    "+61491570156": [
        _app((4, "8:00"), "Acme Bikes: winter sale, 20 % off all lights until Sunday. Reply STOP to opt out."),
        _phone((4, "8:03"), "STOP"),
        _app((1, "8:00"), "Acme Bikes: last day of the sale! Lights from 12 dollars."),
    ],
    "+14155550132": [
        _app((3, "17:00"), "Acme Bikes: your rental starts tomorrow at 10. The bikes wait at the harbor gate."),
        _phone((3, "17:25"), "HELP"),
        _phone((3, "17:31"), "I have found your opening hours, thanks. We come at 10:30, is that ok?"),
        _app((3, "17:36"), "10:30 is fine. Enjoy the ride!"),
        _phone(22, "Two bikes again for Saturday, please. Same size as last time 🚴🚴"),
    ],
    "+13125550178": [
        _phone((4, "13:10"), "STOP"),
        _phone((2, "13:02"), "START"),
        _app(150, "Acme Bikes: the blue touring bike that you asked for is back in stock. Shall we keep it for you?"),
        _phone(52, "Yes please, until Friday"),
    ],
    "+15005550003": [
        _app((2, "14:00"), "Acme Bikes: your parcel leaves our store today."),
    ],
    "+15005550004": [
        _app((1, "14:20"), "Acme Bikes: your invoice 1187 is due on Friday. Pay at https://acme.example/pay/1187"),
    ],
    "+15005550010": [
        _app((1, "17:45"), "903344 is your Acme code. It is valid for 10 minutes."),
    ],
    "+15005550012": [
        _app((3, "9:30"), "Acme Bikes: your parcel arrives today between 14:00 and 16:00."),
        _app(75, "Acme Bikes: we missed you at your door. We will bring your parcel tomorrow between 14:00 and 16:00."),
    ],
}
