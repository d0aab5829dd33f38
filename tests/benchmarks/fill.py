"""Fills a database of any schema version with messages. It uses plain sqlite3.

It sets only columns that the table has. It updates conversations in the way of the given file. So it can fill databases
of old and new checkouts. No server may run at the same time.
"""

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from load import phone

BUSY_PHONE = "+14560000001"  # gets every hundredth message; each other phone gets one message
ERROR = "unroutable_number"  # the error of every two-hundredth message


def generate_ids(after: str | None) -> Iterator[str]:
    """Yield ascending UUIDv7 ids. The first id is greater than `after`."""
    ticks = time.time_ns() // 1_000_000 << 12  # the 12 bits after the milliseconds are a counter
    if after is not None:
        digits = after.replace("-", "")
        ticks = max(ticks, (int(digits[:12], 16) << 12 | int(digits[13:16], 16)) + 1)
    while True:
        milliseconds, fraction = divmod(ticks, 1 << 12)
        digits = f"{milliseconds:012x}7{fraction:03x}{0b10 << 62 | random.getrandbits(62):016x}"
        yield "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        ticks += 1


def fill(path: Path, rows: int, *, waiting: bool = False) -> None:
    """Add messages. They are final, or due now if `waiting` is true."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")
        connection.execute("BEGIN IMMEDIATE")
        (account_id,) = connection.execute("SELECT min(id) FROM accounts").fetchone()
        last, last_id = connection.execute("SELECT coalesce(max(seq), 0), max(id) FROM messages").fetchone()
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(messages)")]
        given = {"account_id": account_id, **describe(waiting=waiting)}
        if waiting and connection.execute("PRAGMA user_version").fetchone()[0] >= 7:
            given["gateway"] = "stub"  # earlier, NULL was the server's gateway
        known = [name for name in ("id", "body", "to_number", "state", "error_type", *given) if name in columns]
        values = ", ".join(f":{name}" for name in known)
        connection.executemany(
            f"INSERT INTO messages ({', '.join(known)}) VALUES ({values})",
            (
                {
                    **given,
                    "id": message_id,
                    "body": f"Message {number} of many, as long as most are",
                    "to_number": BUSY_PHONE if number % 100 == 0 else phone(number),
                    "state": "unconfirmed" if waiting else "error" if number % 200 == 50 else "sent",
                    "error_type": ERROR if not waiting and number % 200 == 50 else None,
                }
                for number, message_id in enumerate(islice(generate_ids(last_id), rows))
            ),
        )
        keep_conversations(connection, last)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()  # these pages must not be written during a measurement


def describe(*, waiting: bool) -> dict[str, object]:
    """Return the columns that have the same value in all messages."""
    now = datetime.now(UTC)
    text, end = (moment.strftime("%Y-%m-%dT%H:%M:%S.000Z") for moment in (now, now + timedelta(days=1)))
    return {
        "direction": "outbound",
        "origin_number": "+15005550006",
        "origin_country": "US",
        "to_country": "US",
        "created_at": text,
        "due_at": text if waiting else None,
        "expires_at": end,
        "attempts": 0 if waiting else 1,
        "finished_at": None if waiting else text,
    }


def keep_conversations(connection: sqlite3.Connection, last: int) -> None:
    """Update the conversations with all messages after a seq."""
    connection.execute(
        """
        INSERT INTO conversations (account_id, phone, last_seq, read_seq)
        SELECT account_id, to_number, max(seq), 0 FROM messages WHERE seq > ? GROUP BY account_id, to_number
        ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq
        """,
        [last],
    )
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'conversations_upto'").fetchone():
        connection.execute("UPDATE conversations_upto SET seq = (SELECT max(seq) FROM messages)")


def read_ids(path: Path, many: int) -> list[str]:
    """Return ids of messages at equal distances in the file, oldest first."""
    with closing(sqlite3.connect(path)) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM messages").fetchone()
        seqs = sorted({last * part // many + 1 for part in range(many)})
        found = (connection.execute("SELECT id FROM messages WHERE seq = ?", [seq]).fetchone() for seq in seqs)
        return [row[0] for row in found if row]


def wait_until_sent(path: Path) -> None:
    """Wait until the file has no due message. Stops the benchmark after two minutes."""
    end = time.monotonic() + 120
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        while connection.execute("SELECT 1 FROM messages WHERE due_at IS NOT NULL LIMIT 1").fetchone():
            if time.monotonic() > end:
                raise SystemExit(f"{path}: messages are not delivered")
            time.sleep(0.02)
