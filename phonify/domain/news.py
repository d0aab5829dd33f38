"""Finds new messages and new outcomes. The server prints them in the terminal (`delivery/live_list.py`)."""

from ..storage import news as store
from ..storage.database import Database
from ..storage.records import Message

_AT_ONCE = 500  # one call of `read` reads at most this number of new messages
_MOST_OPEN = 1_000  # `News` watches at most this number of unconfirmed messages


class News:
    """Searches all accounts for new messages and new outcomes. Use each object in only one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[str, int] = {}  # message id -> number of the last attempt whose outcome was returned
        with database.reading() as connection:
            self._last_seq = store.get_last_seq(connection)

    def read(self) -> list[Message]:
        """Return the messages with news since the previous call of `read`.

        A message has news if one of these events has happened: the message was received, the message was scheduled, the
        message's state became final, or an attempt had an outcome.
        """
        with self._database.reading() as connection:
            found = store.list_messages_by_id(connection, message_ids=list(self._open))
            new = store.list_new_messages(connection, after=self._last_seq, limit=_AT_ONCE)
        news = [message for message in found if self._is_news(message)]
        self._open = {message.id: self._open[message.id] for message in found if message.state == "unconfirmed"}
        for seq, message in new:
            self._last_seq = seq
            if message.direction == "inbound" or message.state != "unconfirmed":
                news.append(message)
                continue
            self._open[message.id] = 0
            if self._is_news(message) or message.send_at is not None:
                news.append(message)
        for message_id in list(self._open)[:-_MOST_OPEN]:
            del self._open[message_id]
        return news

    def _is_news(self, message: Message) -> bool:
        if message.state != "unconfirmed":
            return True
        # A message in doubt has an outcome, although it keeps the time of its attempt. For such a message, `due_at` is
        # the end of its validity period.
        has_outcome = message.submitted_at is None or message.due_at == message.expires_at
        if message.attempts <= self._open[message.id] or not has_outcome:
            return False
        self._open[message.id] = message.attempts
        return True
