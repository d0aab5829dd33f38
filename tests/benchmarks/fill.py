"""Fills a database with messages through plain sqlite3, whatever the version of its schema.

Columns are given a value if the table has them, and conversations are brought up to date in
whichever way the file keeps them, so that one filler serves checkouts of different ages. No server
may run meanwhile.
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

BUSY_PHONE = "+14560000001"  # gets one message of a hundred; all other phones get one each
ERROR = "unroutable_number"  # of one message of two hundred


def generate_ids(after: str | None) -> Iterator[str]:
    """Yield UUIDv7 ids, each greater than the one before and than `after`."""
    ticks = time.time_ns() // 1_000_000 << 12  # 12 bits behind the milliseconds are counted up
    if after is not None:
        digits = after.replace("-", "")
        ticks = max(ticks, (int(digits[:12], 16) << 12 | int(digits[13:16], 16)) + 1)
    while True:
        milliseconds, fraction = divmod(ticks, 1 << 12)
        digits = f"{milliseconds:012x}7{fraction:03x}{0b10 << 62 | random.getrandbits(62):016x}"
        yield "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        ticks += 1


def fill(path: Path, rows: int, *, waiting: bool = False) -> None:
    """Add messages that are final or, if `waiting`, due now."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")
        connection.execute("BEGIN IMMEDIATE")
        (account_id,) = connection.execute("SELECT min(id) FROM accounts").fetchone()
        last, last_id = connection.execute("SELECT coalesce(max(seq), 0), max(id) FROM messages").fetchone()
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(messages)")]
        given = {"account_id": account_id, **describe(waiting=waiting)}
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
    os.sync()  # nothing of this is to be written back while something is measured


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
    """Let the conversations take account of all messages after a seq."""
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
    """Return ids of messages that are evenly spread over the file, oldest first."""
    with closing(sqlite3.connect(path)) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM messages").fetchone()
        seqs = sorted({last * part // many + 1 for part in range(many)})
        found = (connection.execute("SELECT id FROM messages WHERE seq = ?", [seq]).fetchone() for seq in seqs)
        return [row[0] for row in found if row]


def wait_until_sent(path: Path) -> None:
    """Return as soon as no message is due, by the file; stop the benchmark after two minutes."""
    end = time.monotonic() + 120
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        while connection.execute("SELECT 1 FROM messages WHERE due_at IS NOT NULL LIMIT 1").fetchone():
            if time.monotonic() > end:
                raise SystemExit(f"{path}: messages are not delivered")
            time.sleep(0.02)
