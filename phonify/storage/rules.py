"""The SQL for the tables `rules` and `met_rules`. As in `accounts.py`, the caller commits the changes.

The table `met_rules` stores which rule was applied to a message.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from .rule_records import MetRule, Rule

_COLUMNS = ", ".join(Rule._fields)
_INSERT = f"INSERT INTO rules ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in Rule._fields)})"
_MET_COLUMNS = ", ".join(MetRule._fields)
_MET_INSERT = (
    f"INSERT OR REPLACE INTO met_rules ({_MET_COLUMNS}) VALUES ({', '.join(f':{name}' for name in MetRule._fields)})"
)


def list_rules(connection: sqlite3.Connection, *, account_id: int) -> list[Rule]:
    """Return the rules of an account, sorted by position."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM rules WHERE account_id = :account_id ORDER BY position", {"account_id": account_id}
    )
    return [Rule._make(row) for row in rows]


def put_rules(connection: sqlite3.Connection, *, account_id: int, rules: Iterable[Rule]) -> None:
    """Replace all rules of an account. The first of the given rules gets position 1."""
    connection.execute("DELETE FROM rules WHERE account_id = :account_id", {"account_id": account_id})
    numbered = [rule._replace(position=number)._asdict() for number, rule in enumerate(rules, start=1)]
    connection.executemany(_INSERT, numbered)


def get_last_rule_id(connection: sqlite3.Connection) -> str | None:
    """Return the greatest id of all rules. A new rule must have a greater id than this id."""
    last_id: str | None = connection.execute("SELECT max(id) FROM rules").fetchone()[0]
    return last_id


def update_counts(connection: sqlite3.Connection, *, rules: Iterable[Rule]) -> None:
    """Store the counts of rules: how often each rule has matched, and how often it was applied."""
    connection.executemany(
        "UPDATE rules SET seen = :seen, used = :used WHERE id = :id", [rule._asdict() for rule in rules]
    )


def count_rules(connection: sqlite3.Connection) -> int:
    """Count the rules of all accounts."""
    (count,) = connection.execute("SELECT count(*) FROM rules").fetchone()
    return int(count)


def put_met_rules(connection: sqlite3.Connection, *, met: Iterable[MetRule]) -> None:
    """Store which rule was applied to each message. Replaces earlier records about the same messages."""
    connection.executemany(_MET_INSERT, [one._asdict() for one in met])


def delete_met_rule(connection: sqlite3.Connection, *, message_id: str) -> None:
    """Remove a message's record in the table `met_rules`. The rule itself is kept."""
    connection.execute("DELETE FROM met_rules WHERE message_id = :id", {"id": message_id})


def find_met_rules(connection: sqlite3.Connection, *, message_ids: Sequence[str]) -> dict[str, MetRule]:
    """Find which rules were applied to these messages. The keys of the result are the ids of the messages."""
    found = {}
    for message_id in message_ids:
        row = connection.execute(
            f"SELECT {_MET_COLUMNS} FROM met_rules WHERE message_id = :id", {"id": message_id}
        ).fetchone()
        if row:
            found[message_id] = MetRule._make(row)
    return found


# A rule can give a message an effect: a receipt, or a reply from the phone.


def set_effect_time(connection: sqlite3.Connection, *, message_id: str, due_at: str | None) -> None:
    """Set the due time of a message's receipt or reply. If `due_at` is None, remove the due time."""
    connection.execute(
        "UPDATE met_rules SET due_at = :due_at WHERE message_id = :id", {"id": message_id, "due_at": due_at}
    )


def next_effect_time(connection: sqlite3.Connection) -> str | None:
    """Return the earliest due time of all receipts and replies. Returns None if nothing is planned."""
    query = "SELECT min(due_at) FROM met_rules WHERE due_at IS NOT NULL"
    due_at: str | None = connection.execute(query).fetchone()[0]
    return due_at


def list_due_effects(connection: sqlite3.Connection, *, now: str, limit: int) -> list[MetRule]:
    """Return at most `limit` records whose receipt or reply is due. The earliest due time comes first."""
    rows = connection.execute(
        f"SELECT {_MET_COLUMNS} FROM met_rules WHERE due_at <= :now ORDER BY due_at, message_id LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [MetRule._make(row) for row in rows]


# The latest possible time of a receipt or a reply is `seconds` after the present time. If a stored time is later,
# somebody has set the clock back.
_LATEST = "strftime('%Y-%m-%dT%H:%M:%fZ', :now, printf('%.3f seconds', seconds))"


def has_effects_too_late(connection: sqlite3.Connection, *, now: str) -> bool:
    """Return True if at least one receipt or reply has a due time after `_LATEST`."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM met_rules WHERE due_at > :now AND due_at > {_LATEST})", {"now": now}
    )
    return bool(row.fetchone()[0])


def hasten_effects(connection: sqlite3.Connection, *, now: str) -> int:
    """If the due time of a receipt or a reply is after `_LATEST`, change it to `_LATEST`.

    Returns the number of changed rows.
    """
    return connection.execute(
        f"UPDATE met_rules SET due_at = {_LATEST} WHERE due_at > :now AND due_at > {_LATEST}", {"now": now}
    ).rowcount
