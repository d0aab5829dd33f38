"""Text messages that gateways receive from phones.

This module joins the parts of each text message, and finds the account that gets the message.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..clock import Clock, format_time
from ..gateways.events import Received, clean
from ..sms.numbers import Number, mask_number, parse_originator
from ..storage import accounts as account_store
from ..storage import received_texts as store
from ..storage.database import Connection, Database
from ..storage.gateway_records import TextRow
from ..storage.records import Account
from .accounts import DEFAULT_ACCOUNT
from .receiving import Receiving

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)  # how long a text waits for its missing parts
GAP = "\N{HORIZONTAL ELLIPSIS}"  # replaces missing parts
_MOST_PARTS = 255
_LONGEST_NUMBER = 32  # characters; if a sender is not a valid number, the sender is cut to this length
_ROWS = 100_000  # `give_number` stores at most this number of waiting texts
_AT_ONCE = 50  # `give_number` stores at most this number of messages in one transaction


class Inbound:
    """Takes texts from gateways, and stores these texts as messages of accounts."""

    def __init__(self, database: Database, clock: Clock, receiving: Receiving, *, origin: str) -> None:
        self._database = database
        self._clock = clock
        self._receiving = receiving
        self._origin = origin  # if no account has this number, the account `default` gets the texts to this number

    def take(self, connection: Connection, gateway: str, texts: Sequence[Received], now: datetime) -> None:
        """Store text messages that a gateway has received.

        A text message can have several parts. When all parts have arrived, the message is immediately stored for the
        account to which the recipient's number belongs.
        """
        for received in texts:
            text = _make_row(gateway, received, now)
            if store.insert_text(connection, text=text):
                self._join(connection, text)

    def _join(self, connection: Connection, text: TextRow) -> None:
        if text.part_total is None:
            self._hand_over(connection, [text])
            return
        parts = store.list_siblings(connection, text=text)
        same = [part for part in parts if part.part_number == text.part_number and part.event_id != text.event_id]
        if any(part.body != text.body for part in same):
            # The sender uses the same reference for another text now. So no more parts of the former text will come.
            self._hand_over(connection, [part for part in parts if part.event_id != text.event_id])
            parts = [text]
        if len({part.part_number for part in parts}) == text.part_total:
            self._hand_over(connection, parts)

    def hand_over_due(self) -> None:
        """Store the incomplete text messages that have waited long enough for their missing parts.

        Each part waits at most `PATIENCE`. In the stored message, `GAP` replaces the missing parts.
        """
        now = format_time(self._clock.now())
        while self._has_due(now) and not self._database.stopping:
            with self._database.write() as connection:
                for text in store.list_due_texts(connection, now=now, limit=1):
                    self._hand_over(connection, store.list_siblings(connection, text=text))

    def _has_due(self, now: str) -> bool:
        with self._database.reading() as connection:
            return bool(store.list_due_texts(connection, now=now, limit=1))

    def _hand_over(self, connection: Connection, texts: Sequence[TextRow]) -> None:
        """Store one message. If the message has several parts, `texts` contains the parts that have arrived."""
        to = texts[0].to_number or ""
        owner = self._find_owner(connection, to)
        if owner is None:
            store.leave_open(connection, texts=texts)
            logger.warning(
                "A phone has sent a message to %s, but this number belongs to no account. Phonify keeps the message."
                " `numbers add` gives a number to an account.",
                mask_number(to) if to else "an unknown number",
            )
            return
        message = self._receiving.receive_within(
            connection, owner, sender=_read_number(texts[0].sender), body=_write_body(texts), to=_read_number(to)
        )
        store.close_texts(connection, texts=texts, message_id=message.id)

    def _find_owner(self, connection: Connection, number: str) -> Account | None:
        owner = store.find_owner(connection, number=number)
        if owner is None and number == self._origin:
            owner = account_store.get_account(connection, name=DEFAULT_ACCOUNT)
        return owner

    # Numbers

    def give_number(self, account: Account, number: str) -> int:
        """Give a number to an account.

        If Phonify has already received texts to this number, these texts become messages of the account. Returns how
        many messages the account gets in this way.
        """
        now, count = format_time(self._clock.now()), 0
        with self._database.write() as connection:
            store.put_number(connection, number=number, account_id=account.id, now=now)
        with self._database.reading() as connection:
            waiting = _group(store.list_open_texts(connection, number=number, limit=_ROWS))
        for start in range(0, len(waiting), _AT_ONCE):
            with self._database.write() as connection:
                # Meanwhile, another process may have stored some of these texts.
                open_ids = {one.event_id for one in store.list_open_texts(connection, number=number, limit=_ROWS)}
                for texts in waiting[start : start + _AT_ONCE]:
                    if {text.event_id for text in texts} <= open_ids:
                        self._hand_over(connection, texts)
                        count += 1
        return count

    def take_number(self, number: str) -> bool:
        """Remove a number from its account. Returns False if no account has the number."""
        with self._database.write() as connection:
            return store.delete_number(connection, number=number)

    def list_numbers(self, account: Account | None = None) -> list[tuple[str, str]]:
        """Return the numbers that belong to accounts. If `account` is given, return only the numbers of this account.

        Each item of the result has two strings: a number, and the name of the account that owns the number.
        """
        with self._database.reading() as connection:
            return store.list_numbers(connection, account_id=account.id if account is not None else None)

    def find_default_number(self) -> str | None:
        """Return the phone number at which the account `default` receives texts.

        This is the number that PHONIFY_ORIGIN contains. If PHONIFY_ORIGIN contains a sender name, the result is None.
        If `give_number` has given this number to an account, this account gets the texts, and the result is None.
        """
        if not self._origin.lstrip("+").isdecimal():
            return None  # phones can't write to an alphanumeric sender
        with self._database.reading() as connection:
            return self._origin if store.find_owner(connection, number=self._origin) is None else None

    def list_open(self, *, limit: int) -> list[TextRow]:
        """Return the texts that belong to no account yet, oldest first."""
        with self._database.reading() as connection:
            return store.list_open_texts(connection, number=None, limit=limit)

    def count_open(self) -> int:
        """Return how many texts belong to no account yet."""
        with self._database.reading() as connection:
            return store.count_open_texts(connection)


def _make_row(gateway: str, received: Received, now: datetime) -> TextRow:
    part = received.part
    if part is not None and not (1 <= part.number <= part.total and 1 < part.total <= _MOST_PARTS):
        part = None  # the numbers are wrong, or the text has only one part
    return TextRow(
        gateway=gateway,
        event_id=received.event_id,
        sender=_read_number(received.sender).number,
        to_number=_read_number(received.to).number if received.to else None,
        body=clean(received.body),
        at=format_time((received.at or now).astimezone(UTC)),
        received_at=format_time(now),
        part_reference=part.reference if part else None,
        part_total=part.total if part else None,
        part_number=part.number if part else None,
        due_at=format_time(now + PATIENCE) if part else None,
    )


def _read_number(text: str) -> Number:
    """Read a phone number or a sender name.

    If `text` is not valid, the result contains the beginning of `text`. So an invalid `text` does not cause an error,
    and Phonify can store the message.
    """
    text = clean(text).strip()
    try:
        return parse_originator(text)
    except ValueError:
        return Number(text[:_LONGEST_NUMBER] or "unknown", None, None)


def _write_body(texts: Sequence[TextRow]) -> str:
    total = texts[0].part_total
    if total is None:
        return texts[0].body
    bodies = {text.part_number: text.body for text in reversed(texts)}  # if a part was repeated, the first one counts
    body = ""
    for number in range(1, total + 1):
        body += bodies.get(number, "" if body.endswith(GAP) else GAP)
    return body


def _group(texts: Sequence[TextRow]) -> list[list[TextRow]]:
    """Make one group for each text message. A group contains the parts of the text message.

    The group with the earliest part comes first. Two texts from one sender can have the same reference. So if a part
    number appears for the second time, a new group begins.
    """
    groups: list[list[TextRow]] = []
    begun: dict[tuple[object, ...], list[TextRow]] = {}
    for text in texts:
        key = (text.gateway, text.sender, text.part_reference, text.part_total)
        group = begun.get(key)
        if text.part_total is None or group is None or any(one.part_number == text.part_number for one in group):
            group = begun[key] = []
            groups.append(group)
        group.append(text)
    return groups
