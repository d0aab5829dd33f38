"""All SQL, as named functions.

Each takes the connection first and the rest by keyword. None commits: where a transaction begins
and ends is decided above. Times are text as `clock.format_time` writes it.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple

State = Literal["unconfirmed", "sent", "error"]
Direction = Literal["outbound", "inbound"]

_FEW_ROWS = 16
STRETCH_BITS, SMALL_STRETCH_BITS = 17, 10  # of seq; the messages of each stretch are counted (schema.sql)
_CHUNKS = (512, 128, 32, 16)  # rows; times the columns stays under SQLite's 32,766 parameters


class Account(NamedTuple):
    """Who shares this server."""

    id: int
    name: str
    origin: str | None
    created_at: str
    quota: int | None = None  # messages a day
    rate_limit: int | None = None  # requests a minute


class ApiKey(NamedTuple):
    """A key of an account; the key itself is not kept."""

    id: int
    account: str
    name: str
    created_at: str
    revoked_at: str | None
    used_at: str | None


class Party(NamedTuple):
    """One side of a message."""

    number: str
    country: str | None
    carrier: str | None


class Message(NamedTuple):
    """A row of `messages`, but for its `seq`; what the columns mean is said in schema.sql."""

    id: str
    account_id: int
    direction: Direction
    body: str
    origin_number: str
    origin_country: str | None
    origin_carrier: str | None
    to_number: str
    to_country: str | None
    to_carrier: str | None
    state: State
    created_at: str
    error_type: str | None = None
    send_at: str | None = None
    due_at: str | None = None
    expires_at: str | None = None
    attempts: int = 0
    submitted_at: str | None = None
    finished_at: str | None = None
    request_id: str | None = None

    @property
    def origin(self) -> Party:
        """Who sent it."""
        return Party(self.origin_number, self.origin_country, self.origin_carrier)

    @property
    def phone(self) -> Party:
        """Whom it goes to."""
        return Party(self.to_number, self.to_country, self.to_carrier)


class ListedMessage(NamedTuple):
    """What of a message a list shows; there may be many, and to read a column takes its time."""

    id: str
    direction: Direction
    body: str
    origin_number: str
    origin_country: str | None
    origin_carrier: str | None
    to_number: str
    to_country: str | None
    to_carrier: str | None
    state: State
    created_at: str
    error_type: str | None
    send_at: str | None

    @property
    def origin(self) -> Party:
        """Who sent it."""
        return Party(self.origin_number, self.origin_country, self.origin_carrier)

    @property
    def phone(self) -> Party:
        """Whom it goes to."""
        return Party(self.to_number, self.to_country, self.to_carrier)


class Criteria(NamedTuple):
    """What a list of messages is to match; None: whatever."""

    to: str | None = None
    origin: str | None = None
    phone: str | None = None  # either side
    state: State | None = None
    direction: Direction | None = None
    q: str | None = None  # a part of the body; ASCII letters match in either case
    after: str | None = None  # ids
    before: str | None = None


class Arrival(NamedTuple):
    """What of a new message decides who waits for it."""

    id: str
    account_id: int
    direction: Direction
    body: str
    origin_number: str
    to_number: str
    state: State


class Answer(NamedTuple):
    """The first answer to an idempotency key."""

    request_hash: str
    status: int
    answer: str


_ACCOUNT = ", ".join(Account._fields)
_COLUMNS = ", ".join(Message._fields)
_LISTED = ", ".join(ListedMessage._fields)
_GET_MESSAGE = f"SELECT {_COLUMNS} FROM messages WHERE id = :id AND account_id = :account_id"

# Accounts and keys


def insert_account(connection: sqlite3.Connection, *, name: str, origin: str | None, now: str) -> Account:
    """Add an account; raise sqlite3.IntegrityError where there is one of that name."""
    row = connection.execute(
        f"INSERT INTO accounts (name, origin, created_at) VALUES (:name, :origin, :now) RETURNING {_ACCOUNT}",
        {"name": name, "origin": origin, "now": now},
    ).fetchone()
    return Account._make(row)


def get_account(connection: sqlite3.Connection, *, name: str) -> Account | None:
    """Return the account of that name."""
    row = connection.execute(f"SELECT {_ACCOUNT} FROM accounts WHERE name = :name", {"name": name}).fetchone()
    return Account._make(row) if row else None


def list_accounts(connection: sqlite3.Connection) -> list[Account]:
    """Return all accounts, oldest first."""
    return [Account._make(row) for row in connection.execute(f"SELECT {_ACCOUNT} FROM accounts ORDER BY id")]


def insert_key(connection: sqlite3.Connection, *, account_id: int, name: str, key_hash: str, now: str) -> int:
    """Add a key and return its id; raise sqlite3.IntegrityError where there is one of that hash."""
    (key_id,) = connection.execute(
        "INSERT INTO api_keys (account_id, name, key_hash, created_at)"
        " VALUES (:account_id, :name, :key_hash, :now) RETURNING id",
        {"account_id": account_id, "name": name, "key_hash": key_hash, "now": now},
    ).fetchone()
    return int(key_id)


def get_key_by_hash(connection: sqlite3.Connection, *, key_hash: str) -> ApiKey | None:
    """Return the key of that hash, revoked or not."""
    row = connection.execute(
        "SELECT k.id, a.name, k.name, k.created_at, k.revoked_at, k.used_at"
        " FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id WHERE k.key_hash = :key_hash",
        {"key_hash": key_hash},
    ).fetchone()
    return ApiKey._make(row) if row else None


class KeyOwner(NamedTuple):
    """A valid key and the account that it belongs to."""

    key_id: int
    used_at: str | None
    account: Account


def find_account_by_key(connection: sqlite3.Connection, *, key_hash: str) -> KeyOwner | None:
    """Return the account that a valid key belongs to."""
    row = connection.execute(
        "SELECT k.id, k.used_at, a.id, a.name, a.origin, a.created_at, a.quota, a.rate_limit"
        " FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id"
        " WHERE k.key_hash = :key_hash AND k.revoked_at IS NULL",
        {"key_hash": key_hash},
    ).fetchone()
    return KeyOwner(row[0], row[1], Account._make(row[2:])) if row else None


def set_key_used(connection: sqlite3.Connection, *, key_id: int, now: str, unless_since: str) -> None:
    """Note that a key was used, unless another process has done so since a time."""
    connection.execute(
        "UPDATE api_keys SET used_at = :now WHERE id = :key_id AND coalesce(used_at, '') <= :unless_since",
        {"key_id": key_id, "now": now, "unless_since": unless_since},
    )


def list_keys(connection: sqlite3.Connection, *, account: str | None = None) -> list[ApiKey]:
    """Return the keys of one account, or of all, oldest first."""
    rows = connection.execute(
        "SELECT k.id, a.name, k.name, k.created_at, k.revoked_at, k.used_at"
        " FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id"
        " WHERE :account IS NULL OR a.name = :account ORDER BY k.id",
        {"account": account},
    )
    return [ApiKey._make(row) for row in rows]


def revoke_key(connection: sqlite3.Connection, *, key_id: int, account_id: int | None, now: str) -> bool:
    """Make a key invalid; False where there is no such key, of that account if one is given, that is valid."""
    return (
        connection.execute(
            "UPDATE api_keys SET revoked_at = :now WHERE id = :key_id AND revoked_at IS NULL"
            " AND (:account_id IS NULL OR account_id = :account_id)",
            {"key_id": key_id, "account_id": account_id, "now": now},
        ).rowcount
        == 1
    )


def set_account_limits(
    connection: sqlite3.Connection, *, account_id: int, quota: int | None, rate_limit: int | None
) -> None:
    """Set how many messages a day and requests a minute an account has; None: any number."""
    connection.execute(
        "UPDATE accounts SET quota = :quota, rate_limit = :rate_limit WHERE id = :account_id",
        {"account_id": account_id, "quota": quota, "rate_limit": rate_limit},
    )


def take_quota(connection: sqlite3.Connection, *, account_id: int, day: str, quota: int, wanted: int) -> int:
    """Use up to `wanted` messages of an account's quota for a day; return how many there were."""
    taken = max(0, min(wanted, quota - get_quota_used(connection, account_id=account_id, day=day)))
    if taken:
        (used,) = connection.execute(
            "INSERT INTO quota_days VALUES (:account_id, :day, :taken)"
            " ON CONFLICT DO UPDATE SET messages = messages + :taken RETURNING messages",
            {"account_id": account_id, "day": day, "taken": taken},
        ).fetchone()
        if used == taken:  # the first of the day: only the one before it stays
            connection.execute(
                "DELETE FROM quota_days WHERE account_id = :account_id AND day < date(:day, '-1 day')",
                {"account_id": account_id, "day": day},
            )
    return taken


def get_quota_used(connection: sqlite3.Connection, *, account_id: int, day: str) -> int:
    """Return how many messages of an account's quota for a day are used."""
    row = connection.execute(
        "SELECT messages FROM quota_days WHERE account_id = :account_id AND day = :day",
        {"account_id": account_id, "day": day},
    ).fetchone()
    return int(row[0]) if row else 0


def take_request(connection: sqlite3.Connection, *, account_id: int, minute: int, limit: int) -> int | None:
    """Count a request of an account in a minute; return how many there were, None where it is one too many."""
    row = connection.execute(
        "INSERT INTO rate_minutes SELECT :account_id, :minute, 1 WHERE :limit > 0"
        " ON CONFLICT DO UPDATE SET requests = requests + 1 WHERE requests < :limit RETURNING requests",
        {"account_id": account_id, "minute": minute, "limit": limit},
    ).fetchone()
    if row == (1,):  # the first of the minute: only the one before it stays
        connection.execute(
            "DELETE FROM rate_minutes WHERE account_id = :account_id AND minute < :minute - 1",
            {"account_id": account_id, "minute": minute},
        )
    return row[0] if row else None


def set_account_origin(connection: sqlite3.Connection, *, account_id: int, origin: str | None) -> None:
    """Set an account's default sender."""
    connection.execute(
        "UPDATE accounts SET origin = :origin WHERE id = :account_id", {"account_id": account_id, "origin": origin}
    )


# Messages


def get_last_message_id(connection: sqlite3.Connection) -> str | None:
    """Return the greatest id of all messages, which the next one's must exceed."""
    row = connection.execute("SELECT id FROM messages ORDER BY id DESC LIMIT 1").fetchone()
    return row[0] if row else None


@cache
def _insert_messages_sql(rows: int) -> str:
    row = f"({', '.join('?' * len(Message._fields))})"
    return (
        f"INSERT INTO messages ({_COLUMNS}) SELECT * FROM (VALUES {', '.join([row] * rows)})"
        " WHERE ? > coalesce((SELECT max(id) FROM messages), '') AND NOT EXISTS"
        " (SELECT 1 FROM json_each(?) AS asked JOIN subscriptions AS s INDEXED BY subscriptions_opted_out"
        "  ON s.account_id = asked.value WHERE s.subscribed = 0)"
    )


def insert_messages(
    connection: sqlite3.Connection, *, messages: Sequence[Message], unless_opt_outs: Collection[int] = ()
) -> bool:
    """Add messages whose ids ascend, all or none; False where they were not added.

    That is where the first id is not greater than all there are, or any phone has opted out of one of
    the accounts `unless_opt_outs`.

    A few go in by one statement, for the sake of `group_commit.atomic`; more by a savepoint, in chunks of
    so few sizes that the statements for them can be kept.
    """
    accounts = json.dumps([*unless_opt_outs])
    if len(messages) <= _FEW_ROWS:
        return _insert_chunk(connection, messages, accounts)
    connection.execute("SAVEPOINT insert_messages")
    start, done = 0, True
    while done and start < len(messages):
        left = len(messages) - start
        size = left if left <= _FEW_ROWS else next(size for size in _CHUNKS if size <= left)
        # The first chunk that does not fit is the first of all: nothing has been added then.
        done = _insert_chunk(connection, messages[start : start + size], accounts)
        start += size
    connection.execute("RELEASE insert_messages")
    return done


def _insert_chunk(connection: sqlite3.Connection, messages: Sequence[Message], unless_opt_outs: str) -> bool:
    if not messages:
        return True
    values = [*chain.from_iterable(messages), messages[0].id, unless_opt_outs]
    return connection.execute(_insert_messages_sql(len(messages)), values).rowcount > 0


def get_message(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> Message | None:
    """Return one message of an account."""
    row = connection.execute(_GET_MESSAGE, {"id": message_id, "account_id": account_id}).fetchone()
    return Message._make(row) if row else None


def by_number(index: str, within: str = "") -> str:
    """Return what to select messages by number from: an account's stretches, the newest first, and an index of them.

    `within` may limit the stretches. Without a sort the order is NEWEST_FIRST. (The plus sign keeps SQLite
    from looking for a limited range of stretches in the index, and reading all of it.)
    """
    return (
        f"(SELECT stretch AS counted FROM message_counts WHERE account_id = :account_id AND bits = {STRETCH_BITS}"
        f" AND messages > 0{within})"
        f" CROSS JOIN messages INDEXED BY {index} ON account_id = :account_id AND stretch = +counted"
    )


NEWEST_FIRST = "counted DESC, seq DESC"
_AFTER = "coalesce((SELECT seq FROM messages WHERE id <= :after ORDER BY id DESC LIMIT 1), 0)"
_BEFORE = "coalesce((SELECT seq FROM messages WHERE id >= :before ORDER BY id LIMIT 1), 9223372036854775807)"
_WITHIN = {
    "after": f" AND stretch >= {_AFTER} >> {STRETCH_BITS}",
    "before": f" AND stretch <= {_BEFORE} >> {STRETCH_BITS}",
}
# Of state and direction, the first that is given is looked up in its index, unless there is a number. The plus sign
# keeps SQLite, which has no statistics, from choosing the other's.
_INDEXED = {
    "state": ("state = :state", "+state = :state"),
    "direction": ("direction = :direction", "+direction = :direction"),
}
# Spelled out beside the condition itself, so that SQLite sees that a partial index serves.
_PARTIAL = {
    "unconfirmed": " AND state <> 'sent'",
    "error": " AND state <> 'sent'",
    "inbound": " AND direction = 'inbound'",
}
# Ids and seq have the same order, and seq is what the indexes end in.
_OTHERS = {
    "to": "to_number = :to",
    "origin": "origin_number = :origin",
    "q": "body LIKE :q ESCAPE '\\'",
    "after": f"seq > {_AFTER}",
    "before": f"seq < {_BEFORE}",
    "below": "seq < :below",
}


def list_messages(
    connection: sqlite3.Connection, *, account_id: int, criteria: Criteria, offset: int, limit: int
) -> list[ListedMessage]:
    """Return an account's messages that match, newest first."""
    wanted = {name: value for name, value in criteria._asdict().items() if value is not None}
    if "q" in wanted:
        escaped = wanted["q"].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        wanted["q"] = f"%{escaped}%"
    if not wanted and offset >= 1 << SMALL_STRETCH_BITS:
        wanted["below"], offset = _skip_stretches(connection, account_id=account_id, offset=offset)
    where = _conditions(wanted)
    within = "".join(_WITHIN[name] for name in wanted if name in _WITHIN)
    if criteria.phone is not None:
        # One look-up for each side, so that each has its index.
        arms = " UNION ".join(
            f"SELECT seq FROM (SELECT seq FROM {by_number(index, within)} WHERE {where} AND {side} = :phone"
            f" ORDER BY {NEWEST_FIRST} LIMIT :limit + :offset)"
            for index, side in (("messages_by_to", "to_number"), ("messages_by_origin", "origin_number"))
        )
        matching = (
            f"messages WHERE seq IN (SELECT seq FROM ({arms}) ORDER BY seq DESC LIMIT :limit OFFSET :offset)"
            " ORDER BY seq DESC"
        )
    elif criteria.to is not None or criteria.origin is not None:
        index = "messages_by_to" if criteria.to is not None else "messages_by_origin"
        matching = f"{by_number(index, within)} WHERE {where} ORDER BY {NEWEST_FIRST} LIMIT :limit OFFSET :offset"
    else:
        matching = f"messages WHERE {where} ORDER BY seq DESC LIMIT :limit OFFSET :offset"
    # One row for all of them: each row that SQLite is asked for gives up the interpreter lock. group_concat takes
    # the rows in the order in which the subquery, which is ordered, hands them over.
    (lines,) = connection.execute(
        f"SELECT group_concat(json_array({_LISTED}), char(10)) FROM (SELECT {_LISTED} FROM {matching})",
        {"account_id": account_id, "offset": offset, "limit": limit, **wanted},
    ).fetchone()
    return [_read_line(line) for line in lines.split("\n")] if lines else []


@lru_cache(maxsize=2_048)
def _read_line(line: str) -> ListedMessage:
    """Return the message that a JSON array has the columns of; those who ask again and again see mostly the same."""
    return ListedMessage._make(json.loads(line))


_LIST_ARRIVALS = (
    f"SELECT json_group_array(json_array({', '.join(Arrival._fields)})) FROM"
    " (SELECT * FROM messages WHERE id > :after ORDER BY id LIMIT :limit)"
)


def list_arrivals(connection: sqlite3.Connection, *, after: str, limit: int) -> list[Arrival]:
    """Return what was stored after an id, of all accounts, oldest first."""
    (rows,) = connection.execute(_LIST_ARRIVALS, {"after": after, "limit": limit}).fetchone()
    return [Arrival._make(row) for row in json.loads(rows)]


def _conditions(wanted: Mapping[str, Any]) -> str:
    conditions = ["account_id = :account_id"]
    chosen = not wanted.keys().isdisjoint({"to", "origin", "phone"})
    for name, (by_index, by_row) in _INDEXED.items():
        if name in wanted:
            conditions.append(by_row if chosen else by_index + _PARTIAL.get(wanted[name], ""))
            chosen = True
    return " AND ".join([*conditions, *(_OTHERS[name] for name in wanted if name in _OTHERS)])


def _skip_stretches(connection: sqlite3.Connection, *, account_id: int, offset: int) -> tuple[int, int]:
    """Return the seq below which to begin, and how many messages are still to be skipped from there."""
    lowest, below = 0, 1 << 62  # of seq
    for bits in (STRETCH_BITS, SMALL_STRETCH_BITS):
        stretches, counts = connection.execute(
            "SELECT json_group_array(stretch), json_group_array(messages) FROM ("
            "  SELECT stretch, messages FROM message_counts"
            "  WHERE account_id = :account_id AND bits = :bits AND stretch BETWEEN :lowest AND :highest"
            "  ORDER BY stretch DESC)",
            {"account_id": account_id, "bits": bits, "lowest": lowest >> bits, "highest": (below - 1) >> bits},
        ).fetchone()
        for stretch, messages in zip(json.loads(stretches), json.loads(counts), strict=True):
            if messages > offset:
                lowest, below = stretch << bits, (stretch + 1) << bits
                break
            offset -= messages
        else:  # there are not that many
            return 0, 0
    return below, offset


def update_waiting_message(connection: sqlite3.Connection, *, message: Message) -> None:
    """Write what may change while a message waits for its time: body, recipient and times."""
    connection.execute(
        "UPDATE messages SET body = :body, to_number = :to_number, to_country = :to_country,"
        " to_carrier = :to_carrier, send_at = :send_at, due_at = :due_at, expires_at = :expires_at WHERE id = :id",
        message._asdict(),
    )


def delete_message(connection: sqlite3.Connection, *, message_id: str) -> None:
    """Remove a message."""
    connection.execute("DELETE FROM messages WHERE id = :id", {"id": message_id})


# Delivery


def next_due_at(connection: sqlite3.Connection) -> str | None:
    """Return when the dispatcher has to turn to a message next; None where none waits."""
    row = connection.execute("SELECT due_at FROM messages WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1").fetchone()
    return row[0] if row else None


def list_due_messages(connection: sqlite3.Connection, *, now: str, limit: int) -> list[Message]:
    """Return messages whose time has come, the longest waiting first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE due_at <= :now ORDER BY due_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [Message._make(row) for row in rows]


def lease_messages(connection: sqlite3.Connection, *, ids: Iterable[str], now: str, until: str) -> None:
    """Note that messages are being handed to the gateway: nobody else turns to them until the lease ends."""
    connection.execute(
        "UPDATE messages SET attempts = attempts + 1, submitted_at = :now, due_at = :until"
        " WHERE id IN (SELECT value FROM json_each(:ids))",
        {"ids": json.dumps(list(ids)), "now": now, "until": until},
    )


# What waits for a time that lies in the future only because the clock has been set back since: its last
# attempt or, before the first one, the message itself is from the future. Not what is scheduled, nor what waits
# for the end of its validity in doubt.
_FROM_FUTURE = (
    " WHERE due_at > :now AND due_at IS NOT expires_at AND (attempts > 0 OR send_at IS NULL OR send_at < due_at)"
    " AND coalesce(submitted_at, (SELECT max(at) FROM message_attempts WHERE message_id = messages.id),"
    " created_at) > :now"
)


def has_messages_from_future(connection: sqlite3.Connection, *, now: str) -> bool:
    """Tell whether any message waits because the clock has been set back."""
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM messages" + _FROM_FUTURE + ")", {"now": now}).fetchone()
    return bool(row[0])


def take_up_messages_from_future(connection: sqlite3.Connection, *, now: str, until: str) -> int:
    """Make messages due that wait because the clock has been set back, leased ones at the end of a new lease."""
    return connection.execute(
        "UPDATE messages SET due_at = iif(submitted_at IS NULL, :now, :until)" + _FROM_FUTURE,
        {"now": now, "until": until},
    ).rowcount


# What follows records what became of an attempt. `attempts` is the fence: where someone else has
# leased the message since, the late report is dropped.


class Attempt(NamedTuple):
    """A message and which of its attempts is meant."""

    message_id: str
    attempts: int


_FENCE = (
    " FROM json_each(:attempts) AS reported WHERE messages.id = reported.value ->> 0"
    " AND messages.attempts = reported.value ->> 1 AND messages.state = 'unconfirmed'"
)
_RETURNING = f" RETURNING {_COLUMNS}"


def mark_sent(
    connection: sqlite3.Connection, *, attempts: Sequence[Attempt], now: str, returning: bool = False
) -> list[Message]:
    """Record that the gateway took messages; return those that changed, where that is wanted."""
    rows = connection.execute(
        "UPDATE messages SET state = 'sent', finished_at = :now, due_at = NULL, submitted_at = NULL"
        + _FENCE
        + (_RETURNING if returning else ""),
        {"attempts": json.dumps(attempts), "now": now},
    )
    return [Message._make(row) for row in rows]


def mark_error(
    connection: sqlite3.Connection, *, attempts: Sequence[Attempt], error_type: str, now: str, returning: bool = False
) -> list[Message]:
    """Record that messages have failed for good; return those that changed, where that is wanted."""
    rows = connection.execute(
        "UPDATE messages SET state = 'error', error_type = :error_type, finished_at = :now, due_at = NULL,"
        " submitted_at = NULL" + _FENCE + (_RETURNING if returning else ""),
        {"attempts": json.dumps(attempts), "error_type": error_type, "now": now},
    )
    return [Message._make(row) for row in rows]


def reschedule(connection: sqlite3.Connection, *, attempt: Attempt, due_at: str) -> None:
    """Record that a message was surely not sent, and when to try again."""
    connection.execute(
        "UPDATE messages SET due_at = :due_at, submitted_at = NULL" + _FENCE,
        {"attempts": json.dumps([attempt]), "due_at": due_at},
    )


def give_back(connection: sqlite3.Connection, *, attempts: Sequence[Attempt], now: str) -> None:
    """Undo the lease of messages that were not handed to the gateway after all."""
    connection.execute(
        "UPDATE messages SET due_at = :now, submitted_at = NULL, attempts = messages.attempts - 1" + _FENCE,
        {"attempts": json.dumps(attempts), "now": now},
    )


def await_validity(connection: sqlite3.Connection, *, attempts: Sequence[Attempt]) -> None:
    """Record that nobody knows whether messages were sent: let them wait for the end of their validity."""
    connection.execute(
        "UPDATE messages SET due_at = expires_at" + _FENCE,
        {"attempts": json.dumps(attempts)},
    )


Outcome = Literal["rejected", "unavailable", "unconfirmed"]


class MessageAttempt(NamedTuple):
    """An attempt that the gateway did not simply take."""

    message_id: str
    attempt: int
    at: str
    outcome: Outcome
    due_at: str | None = None  # of the next attempt


def insert_message_attempts(connection: sqlite3.Connection, *, attempts: Sequence[MessageAttempt]) -> None:
    """Note attempts, where nobody else has leased the message since; what is known later replaces a doubt."""
    connection.execute(
        "INSERT OR REPLACE INTO message_attempts (message_id, attempt, at, outcome, due_at)"
        " SELECT messages.id, value ->> 1, value ->> 2, value ->> 3, value ->> 4"
        " FROM json_each(:attempts) JOIN messages ON messages.id = value ->> 0 AND messages.attempts = value ->> 1",
        {"attempts": json.dumps(attempts)},
    )


# Idempotency keys


def get_answer(connection: sqlite3.Connection, *, account_id: int, key: str, since: str) -> Answer | None:
    """Return the first answer to a key, given since a time."""
    row = connection.execute(
        "SELECT request_hash, status, answer FROM idempotency_keys"
        " WHERE account_id = :account_id AND key = :key AND created_at > :since",
        {"account_id": account_id, "key": key, "since": since},
    ).fetchone()
    return Answer._make(row) if row else None


def put_answer(connection: sqlite3.Connection, *, account_id: int, key: str, answer: Answer, now: str) -> None:
    """Keep the first answer to a key, over one that has run out."""
    connection.execute(
        "INSERT OR REPLACE INTO idempotency_keys (account_id, key, request_hash, status, answer, created_at)"
        " VALUES (:account_id, :key, :request_hash, :status, :answer, :now)",
        {"account_id": account_id, "key": key, "now": now, **answer._asdict()},
    )


def delete_answers(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove answers that have run out, at most `limit`; return how many."""
    return connection.execute(
        "DELETE FROM idempotency_keys WHERE (account_id, key) IN"
        " (SELECT account_id, key FROM idempotency_keys WHERE created_at <= :until LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount
