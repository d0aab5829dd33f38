"""The SQL statements for deliveries and for delivery attempts. Phonify sends one request for each delivery.

These functions do not commit. The caller commits the changes.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from .records import Delivery, NewDelivery, WebhookAttempt

_ROW = ", ".join(Delivery._fields[:-1])
# The `due_at` of a delivery while earlier deliveries of the same sequence are pending.
_HELD = "9999-12-31T23:59:59.999Z"


def insert_deliveries(
    connection: sqlite3.Connection, *, kind: str, deliveries: Iterable[NewDelivery], now: str
) -> None:
    """Add deliveries. Phonify can post them now.

    If earlier deliveries of the same sequence are pending, Phonify posts those first.
    """
    connection.executemany(
        "INSERT INTO webhook_deliveries"
        " (id, account_id, message_id, event, payload, url, sequence, kind, state, created_at, due_at)"
        " VALUES (:id, :account_id, :message_id, :event, :payload, :url, :sequence, :kind, 'pending', :now,"
        " iif(EXISTS (SELECT 1 FROM webhook_deliveries WHERE sequence = :sequence AND due_at IS NOT NULL),"
        f" '{_HELD}', :now))",
        [{**delivery._asdict(), "kind": kind, "now": now} for delivery in deliveries],
    )


def release_next(connection: sqlite3.Connection, *, sequence: str, now: str) -> None:
    """Make the next delivery of a sequence due. Its new due time is `now`.

    Call this function when the previous delivery of the sequence is finished.
    """
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = :now WHERE seq ="
        " (SELECT min(seq) FROM webhook_deliveries WHERE sequence = :sequence AND due_at IS NOT NULL)"
        f" AND due_at = '{_HELD}'",
        {"sequence": sequence, "now": now},
    )


def list_deliveries(
    connection: sqlite3.Connection, *, account_id: int, limit: int, before: int | None
) -> list[Delivery]:
    """Return at most `limit` deliveries of an account, newest first.

    If `before` is given, each returned delivery has a seq that is less than `before`.
    """
    rows = connection.execute(
        f"SELECT {_ROW} FROM webhook_deliveries WHERE account_id = :account_id"
        " AND seq < coalesce(:before, 9223372036854775807) ORDER BY seq DESC LIMIT :limit",
        {"account_id": account_id, "limit": limit, "before": before},
    )
    return [Delivery(*row) for row in rows]


def list_deliveries_of_message(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> list[Delivery]:
    """Return the deliveries about a message, newest first."""
    rows = connection.execute(
        f"SELECT {_ROW} FROM webhook_deliveries WHERE message_id = :message_id AND account_id = :account_id"
        " ORDER BY seq DESC",
        {"account_id": account_id, "message_id": message_id},
    )
    return [Delivery(*row) for row in rows]


def empty_bodies(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> None:
    """In the payload of each delivery about a message, replace the message's body with an empty string.

    The name of the field depends on the payload. In a webhook event, the field is `data.message.body`. In a Twilio
    callback, the field is `Body`.
    """
    connection.execute(
        "UPDATE webhook_deliveries"
        " SET payload = json_replace(payload, '$.data.message.body', '', '$.parameters.Body', '')"
        " WHERE message_id = :message_id AND account_id = :account_id",
        {"account_id": account_id, "message_id": message_id},
    )


def get_delivery(connection: sqlite3.Connection, *, account_id: int, delivery_id: str) -> Delivery | None:
    """Return one delivery of an account, or None."""
    row = connection.execute(
        f"SELECT {_ROW} FROM webhook_deliveries WHERE id = :id AND account_id = :account_id",
        {"id": delivery_id, "account_id": account_id},
    ).fetchone()
    return Delivery(*row) if row else None


def list_attempts(connection: sqlite3.Connection, *, delivery_id: str) -> tuple[WebhookAttempt, ...]:
    """Return the attempts of a delivery, oldest first."""
    rows = connection.execute(
        "SELECT attempt, at, took_ms, status, answer, error FROM webhook_attempts"
        " WHERE delivery_id = :id ORDER BY attempt",
        {"id": delivery_id},
    )
    return tuple(WebhookAttempt._make(row) for row in rows)


def redeliver(connection: sqlite3.Connection, *, delivery_id: str, now: str) -> None:
    """Make a delivery due now, so that Phonify posts it again. All retries are allowed again.

    If an earlier delivery of the same sequence is pending, Phonify posts the earlier delivery first.
    """
    connection.execute(
        f"UPDATE webhook_deliveries SET state = 'pending', due_at = iif(due_at = '{_HELD}', due_at, :now),"
        " lease_owner = NULL, retries = 0, finished_at = NULL WHERE id = :id",
        {"id": delivery_id, "now": now},
    )


_CANCEL = (
    "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, lease_owner = NULL, finished_at = :now"
    " WHERE account_id = :account_id AND due_at IS NOT NULL"
)


def cancel_deliveries(connection: sqlite3.Connection, *, account_id: int, kind: str, now: str) -> None:
    """Cancel an account's pending deliveries of the given kind. Sets the state of these deliveries to `failed`."""
    connection.execute(_CANCEL + " AND kind = :kind", {"account_id": account_id, "kind": kind, "now": now})


def cancel_deliveries_of_messages(
    connection: sqlite3.Connection, *, account_id: int, message_ids: Iterable[str], now: str
) -> None:
    """Cancel the pending deliveries of the given messages. Sets the state of these deliveries to `failed`.

    Deliveries of other accounts do not change.
    """
    connection.executemany(
        _CANCEL + " AND message_id = :message_id",
        [{"account_id": account_id, "message_id": message_id, "now": now} for message_id in message_ids],
    )


def delete_deliveries(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove at most `limit` old deliveries. Returns the number of removed deliveries.

    A delivery is old if it was finished at the time `until` or earlier.
    """
    return connection.execute(
        "DELETE FROM webhook_deliveries WHERE seq IN"
        " (SELECT seq FROM webhook_deliveries WHERE finished_at <= :until LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount


# Posting deliveries


def list_due_accounts(connection: sqlite3.Connection, *, machine_now: str) -> list[tuple[int, str]]:
    """Return the accounts that have waiting deliveries. The account with the earliest due time is first.

    A waiting delivery has the state `pending`, and has no lease. For each account, the result contains two values: the
    account's id, and the earliest due time of the account's waiting deliveries. Accounts of finished test runs are
    excluded.
    """
    return connection.execute(
        "SELECT id, (SELECT due_at FROM webhook_deliveries AS d"
        "  WHERE d.account_id = accounts.id AND due_at IS NOT NULL AND lease_owner IS NULL"
        "  ORDER BY due_at LIMIT 1) AS first"
        " FROM accounts WHERE first IS NOT NULL"
        "  AND NOT EXISTS (SELECT 1 FROM runs WHERE account_id = accounts.id AND expires_at <= :machine_now)"
        " ORDER BY first",
        {"machine_now": machine_now},
    ).fetchall()


def lease_deliveries(
    connection: sqlite3.Connection, *, account_id: int, owner: str, now: str, until: str, limit: int
) -> Sequence[Delivery]:
    """Claim at most `limit` due deliveries of an account. Each claimed delivery gets a lease for `owner`.

    `until` is the end of each lease, according to the machine's clock.
    """
    rows = connection.execute(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = :until, lease_owner = :owner WHERE seq IN"
        " (SELECT seq FROM webhook_deliveries WHERE account_id = :account_id AND due_at <= :now"
        f"  AND lease_owner IS NULL ORDER BY due_at, seq LIMIT :limit) RETURNING {_ROW}",
        {"account_id": account_id, "owner": owner, "now": now, "until": until, "limit": limit},
    )
    return sorted(Delivery(*row) for row in rows)


def list_lease_owners(connection: sqlite3.Connection) -> list[str]:
    """Return the owners of all leases."""
    rows = connection.execute("SELECT DISTINCT lease_owner FROM webhook_deliveries WHERE lease_owner IS NOT NULL")
    return [owner for (owner,) in rows]


def end_leases(connection: sqlite3.Connection, *, owner: str) -> None:
    """End the leases of an owner.

    The deliveries with these leases are then due. Phonify posts the oldest of these deliveries first.
    """
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = created_at, lease_owner = NULL WHERE lease_owner = :owner",
        {"owner": owner},
    )


def next_lease_end(connection: sqlite3.Connection) -> str | None:
    """Return the earliest end time of all leases, or None if there is no lease.

    The result is a time according to the machine's clock.
    """
    query = "SELECT min(due_at) FROM webhook_deliveries WHERE lease_owner IS NOT NULL"
    lease_end: str | None = connection.execute(query).fetchone()[0]
    return lease_end


def end_expired_leases(connection: sqlite3.Connection, *, machine_now: str) -> None:
    """Remove all expired leases. The deliveries with these leases are then due again.

    A lease has expired if its end time is `machine_now` or earlier. `machine_now` is the time of the machine's clock.
    """
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = created_at, lease_owner = NULL"
        " WHERE lease_owner IS NOT NULL AND due_at <= :machine_now",
        {"machine_now": machine_now},
    )


_FROM_FUTURE = (
    f" WHERE due_at > :now AND due_at <> '{_HELD}'"
    " AND coalesce((SELECT max(at) FROM webhook_attempts AS a WHERE a.delivery_id = id), created_at) > :now"
)


def has_deliveries_from_future(connection: sqlite3.Connection, *, now: str) -> bool:
    """Return whether any delivery is due too late because somebody has set the clock to an earlier time.

    Such a delivery has a due time after `now`. The time of its latest attempt is also after `now`. A delivery without
    an attempt has a creation time after `now`.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM webhook_deliveries" + _FROM_FUTURE + ")", {"now": now}
    ).fetchone()
    return bool(row[0])


def reschedule_deliveries_from_future(connection: sqlite3.Connection, *, now: str, until: str) -> int:
    """Make deliveries due earlier if the clock was set back. Returns the number of changed deliveries.

    The function changes the deliveries that `has_deliveries_from_future` describes. If a delivery has no lease, the
    function makes the delivery due now. If a delivery has a lease, the lease then ends at the time `until`.
    """
    return connection.execute(
        "UPDATE webhook_deliveries SET due_at = iif(lease_owner IS NULL, :now, :until)" + _FROM_FUTURE,
        {"now": now, "until": until},
    ).rowcount


def insert_attempt(connection: sqlite3.Connection, *, delivery_id: str, attempt: WebhookAttempt) -> None:
    """Record the result of an attempt. If the delivery was removed, nothing is recorded."""
    connection.execute(
        "INSERT OR IGNORE INTO webhook_attempts (delivery_id, attempt, at, took_ms, status, answer, error)"
        " SELECT id, :attempt, :at, :took_ms, :status, :answer, :error FROM webhook_deliveries WHERE id = :id",
        {"id": delivery_id, **attempt._asdict()},
    )


def mark_delivered(connection: sqlite3.Connection, *, delivery: Delivery, now: str) -> bool:
    """Set a delivery to `delivered`, even if its lease has ended. Returns False if the delivery was not pending."""
    cursor = connection.execute(
        "UPDATE webhook_deliveries SET state = 'delivered', due_at = NULL, lease_owner = NULL, finished_at = :now"
        " WHERE id = :id AND state = 'pending'",
        {"id": delivery.id, "now": now},
    )
    return cursor.rowcount == 1


# As in `outbox.py`, `attempts` is the fencing token. A redelivery changes `due_at`, but it does not change `attempts`.
# So `due_at` is compared together with `attempts`. Otherwise, the late outcome of an earlier attempt could delay the
# redelivery.
_FENCE = " WHERE id = :id AND state = 'pending' AND attempts = :attempts AND due_at = :due_at"


def reschedule(connection: sqlite3.Connection, *, delivery: Delivery, again_at: str) -> None:
    """Set the time of the next attempt. If another process has leased the delivery in the meantime, nothing changes."""
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = :again_at, lease_owner = NULL, retries = retries + 1" + _FENCE,
        {**delivery._asdict(), "again_at": again_at},
    )


def mark_failed(connection: sqlite3.Connection, *, delivery: Delivery, now: str) -> bool:
    """Set a delivery to `failed`. Returns False if another process has leased the delivery in the meantime."""
    cursor = connection.execute(
        "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, lease_owner = NULL, finished_at = :now"
        + _FENCE,
        {**delivery._asdict(), "now": now},
    )
    return cursor.rowcount == 1
