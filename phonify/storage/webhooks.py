"""The SQL of webhooks and of the events that are posted to them."""

import sqlite3
from collections.abc import Iterable, Sequence

from .records import Delivery, DueAccount, NewDelivery, Webhook, WebhookAttempt

_ROW = ", ".join(Delivery._fields[:-1])
_WEBHOOK = ", ".join(Webhook._fields)
_HELD = "9999-12-31T23:59:59.999Z"  # due after the earlier deliveries of the sequence

# Webhooks


def get_webhook(connection: sqlite3.Connection, *, account_id: int) -> Webhook | None:
    """Return the webhook of an account."""
    row = connection.execute(
        f"SELECT {_WEBHOOK} FROM webhooks WHERE account_id = :account_id",
        {"account_id": account_id},
    ).fetchone()
    return Webhook._make(row) if row else None


def put_webhook(connection: sqlite3.Connection, *, account_id: int, url: str, secret: str, now: str) -> Webhook:
    """Set the URL of an account's webhook, and enable it. The secret is used only if the webhook is new."""
    row = connection.execute(
        "INSERT INTO webhooks (account_id, url, secret, created_at) VALUES (:account_id, :url, :secret, :now)"
        f" ON CONFLICT (account_id) DO UPDATE SET url = excluded.url, disabled_at = NULL RETURNING {_WEBHOOK}",
        {"account_id": account_id, "url": url, "secret": secret, "now": now},
    ).fetchone()
    return Webhook._make(row)


def update_secret(connection: sqlite3.Connection, *, account_id: int, secret: str) -> Webhook | None:
    """Give an account's webhook another secret; return None if it has no webhook."""
    row = connection.execute(
        f"UPDATE webhooks SET secret = :secret WHERE account_id = :account_id RETURNING {_WEBHOOK}",
        {"account_id": account_id, "secret": secret},
    ).fetchone()
    return Webhook._make(row) if row else None


def delete_webhook(connection: sqlite3.Connection, *, account_id: int) -> None:
    """Remove the webhook of an account."""
    connection.execute("DELETE FROM webhooks WHERE account_id = :account_id", {"account_id": account_id})


def disable_webhook(connection: sqlite3.Connection, *, account_id: int, now: str) -> None:
    """Disable an account's webhook until its URL is set again."""
    connection.execute(
        "UPDATE webhooks SET disabled_at = :now WHERE account_id = :account_id", {"account_id": account_id, "now": now}
    )


# Deliveries


def insert_deliveries(
    connection: sqlite3.Connection, *, kind: str, deliveries: Iterable[NewDelivery], now: str
) -> None:
    """Add deliveries. Each is due now, or after the earlier ones of its sequence."""
    connection.executemany(
        "INSERT INTO webhook_deliveries"
        " (id, account_id, message_id, event, payload, url, sequence, kind, state, created_at, due_at)"
        " VALUES (:id, :account_id, :message_id, :event, :payload, :url, :sequence, :kind, 'pending', :now,"
        " iif(EXISTS (SELECT 1 FROM webhook_deliveries WHERE sequence = :sequence AND due_at IS NOT NULL),"
        f" '{_HELD}', :now))",
        [{**delivery._asdict(), "kind": kind, "now": now} for delivery in deliveries],
    )


def release_next(connection: sqlite3.Connection, *, sequence: str, now: str) -> None:
    """Make the next delivery of a sequence due, after the one before has ended."""
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = :now WHERE seq ="
        " (SELECT min(seq) FROM webhook_deliveries WHERE sequence = :sequence AND due_at IS NOT NULL)"
        f" AND due_at = '{_HELD}'",
        {"sequence": sequence, "now": now},
    )


def list_deliveries(
    connection: sqlite3.Connection, *, account_id: int, limit: int, before: int | None
) -> list[Delivery]:
    """Return the deliveries of an account with a seq less than `before`, newest first."""
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


def get_delivery(connection: sqlite3.Connection, *, account_id: int, delivery_id: str) -> Delivery | None:
    """Return one delivery of an account."""
    row = connection.execute(
        f"SELECT {_ROW} FROM webhook_deliveries WHERE id = :id AND account_id = :account_id",
        {"id": delivery_id, "account_id": account_id},
    ).fetchone()
    return Delivery(*row) if row else None


def list_attempts(connection: sqlite3.Connection, *, delivery_id: str) -> tuple[WebhookAttempt, ...]:
    """Return the attempts of a delivery, the first one first."""
    rows = connection.execute(
        "SELECT attempt, at, took_ms, status, answer, error FROM webhook_attempts"
        " WHERE delivery_id = :id ORDER BY attempt",
        {"id": delivery_id},
    )
    return tuple(WebhookAttempt._make(row) for row in rows)


def redeliver(connection: sqlite3.Connection, *, delivery_id: str, now: str) -> None:
    """Make a delivery due, with all its retries again: at once, or after the earlier ones of its sequence."""
    connection.execute(
        f"UPDATE webhook_deliveries SET state = 'pending', due_at = iif(due_at = '{_HELD}', due_at, :now),"
        " lease_owner = NULL, retries = 0,"
        " finished_at = NULL WHERE id = :id",
        {"id": delivery_id, "now": now},
    )


_CANCEL = (
    "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, lease_owner = NULL, finished_at = :now"
    " WHERE account_id = :account_id AND due_at IS NOT NULL"
)


def cancel_deliveries(connection: sqlite3.Connection, *, account_id: int, kind: str, now: str) -> None:
    """Give up an account's pending deliveries of a kind."""
    connection.execute(_CANCEL + " AND kind = :kind", {"account_id": account_id, "kind": kind, "now": now})


def cancel_deliveries_of_messages(
    connection: sqlite3.Connection, *, account_id: int, message_ids: Iterable[str], now: str
) -> None:
    """Give up an account's pending deliveries about messages, of every kind."""
    connection.executemany(
        _CANCEL + " AND message_id = :message_id",
        [{"account_id": account_id, "message_id": message_id, "now": now} for message_id in message_ids],
    )


def delete_deliveries(connection: sqlite3.Connection, *, until: str, limit: int) -> int:
    """Remove deliveries that ended before a time, at most `limit`; return how many."""
    return connection.execute(
        "DELETE FROM webhook_deliveries WHERE seq IN"
        " (SELECT seq FROM webhook_deliveries WHERE finished_at <= :until LIMIT :limit)",
        {"until": until, "limit": limit},
    ).rowcount


# Posting them


def list_due_accounts(connection: sqlite3.Connection, *, now: str) -> list[DueAccount]:
    """Return the accounts that have pending deliveries, the one that waits longest first.

    Accounts of test runs that have ended are left out.
    One row for each account: so one account with many deliveries does not slow down the others.
    """
    rows = connection.execute(
        "SELECT id, (SELECT due_at FROM webhook_deliveries AS d"
        "  WHERE d.account_id = accounts.id AND due_at IS NOT NULL ORDER BY due_at LIMIT 1) AS first"
        " FROM accounts WHERE first IS NOT NULL"
        "  AND NOT EXISTS (SELECT 1 FROM runs WHERE account_id = accounts.id AND expires_at <= :now) ORDER BY first",
        {"now": now},
    )
    return [DueAccount._make(row) for row in rows]


def lease_deliveries(
    connection: sqlite3.Connection, *, account_id: int, owner: str, now: str, until: str, limit: int
) -> Sequence[Delivery]:
    """Lease an account's due deliveries, which other loops leave alone until the lease or its owner's process ends."""
    rows = connection.execute(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = :until, lease_owner = :owner WHERE seq IN"
        " (SELECT seq FROM webhook_deliveries WHERE account_id = :account_id AND due_at <= :now"
        f"  ORDER BY due_at, seq LIMIT :limit) RETURNING {_ROW}",
        {"account_id": account_id, "owner": owner, "now": now, "until": until, "limit": limit},
    )
    return sorted(Delivery(*row) for row in rows)


def list_lease_owners(connection: sqlite3.Connection) -> list[str]:
    """Return the owners of leases."""
    rows = connection.execute("SELECT DISTINCT lease_owner FROM webhook_deliveries WHERE lease_owner IS NOT NULL")
    return [owner for (owner,) in rows]


def end_leases(connection: sqlite3.Connection, *, owner: str) -> None:
    """End the leases of an owner: its deliveries are due again, in the order of their creation."""
    connection.execute(
        "UPDATE webhook_deliveries SET due_at = created_at, lease_owner = NULL WHERE lease_owner = :owner",
        {"owner": owner},
    )


_FROM_FUTURE = (
    f" WHERE due_at > :now AND due_at <> '{_HELD}'"
    " AND coalesce((SELECT max(at) FROM webhook_attempts AS a WHERE a.delivery_id = id), created_at) > :now"
)


def has_deliveries_from_future(connection: sqlite3.Connection, *, now: str) -> bool:
    """Tell whether a delivery waits only because the clock was set back."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM webhook_deliveries" + _FROM_FUTURE + ")", {"now": now}
    ).fetchone()
    return bool(row[0])


def reschedule_deliveries_from_future(connection: sqlite3.Connection, *, now: str, until: str) -> int:
    """Make deliveries due if they wait only because the clock was set back. Leased deliveries get a new lease first."""
    return connection.execute(
        "UPDATE webhook_deliveries SET due_at = iif(lease_owner IS NULL, :now, :until)" + _FROM_FUTURE,
        {"now": now, "until": until},
    ).rowcount


def insert_attempt(connection: sqlite3.Connection, *, delivery_id: str, attempt: WebhookAttempt) -> None:
    """Record the result of an attempt, unless the delivery was removed."""
    connection.execute(
        "INSERT OR IGNORE INTO webhook_attempts (delivery_id, attempt, at, took_ms, status, answer, error)"
        " SELECT id, :attempt, :at, :took_ms, :status, :answer, :error FROM webhook_deliveries WHERE id = :id",
        {"id": delivery_id, **attempt._asdict()},
    )


def mark_delivered(connection: sqlite3.Connection, *, delivery: Delivery, now: str) -> bool:
    """Record that a delivery arrived, also after its lease has ended; return False if it was finished before."""
    return (
        connection.execute(
            "UPDATE webhook_deliveries SET state = 'delivered', due_at = NULL, lease_owner = NULL, finished_at = :now"
            " WHERE id = :id AND state = 'pending'",
            {"id": delivery.id, "now": now},
        ).rowcount
        == 1
    )


# As in `outbox.py`, `attempts` is the fencing token. The end of the lease is a second one: without it, a late outcome
# could delay a redelivery that was requested since.
_FENCE = " WHERE id = :id AND state = 'pending' AND attempts = :attempts AND due_at = :due_at"


def reschedule(connection: sqlite3.Connection, *, delivery: Delivery, again_at: str) -> bool:
    """Record that an attempt failed, and when the next one is; return False if another process has leased it since."""
    return (
        connection.execute(
            "UPDATE webhook_deliveries SET due_at = :again_at, lease_owner = NULL, retries = retries + 1" + _FENCE,
            {**delivery._asdict(), "again_at": again_at},
        ).rowcount
        == 1
    )


def mark_failed(connection: sqlite3.Connection, *, delivery: Delivery, now: str) -> bool:
    """Record that a delivery was given up; return False if another process has leased it since."""
    return (
        connection.execute(
            "UPDATE webhook_deliveries SET state = 'failed', due_at = NULL, lease_owner = NULL, finished_at = :now"
            + _FENCE,
            {**delivery._asdict(), "now": now},
        ).rowcount
        == 1
    )


# Received messages, whose state depends on the webhook


def settle_received(connection: sqlite3.Connection, *, message_id: str, error_type: str | None, now: str) -> None:
    """Record that a received message was delivered to the webhook, or why it was given up."""
    connection.execute(
        "UPDATE messages SET state = iif(:error_type IS NULL, 'sent', 'error'), error_type = :error_type,"
        " finished_at = :now WHERE id = :id AND direction = 'inbound' AND state = 'unconfirmed'",
        {"id": message_id, "error_type": error_type, "now": now},
    )


def settle_all_received(connection: sqlite3.Connection, *, account_id: int, now: str) -> None:
    """Set all received messages of an account that wait for its webhook to `sent`."""
    connection.execute(
        "UPDATE messages SET state = 'sent', finished_at = :now WHERE account_id = :account_id"
        " AND state = 'unconfirmed' AND state <> 'sent' AND direction = 'inbound'",
        {"account_id": account_id, "now": now},
    )
