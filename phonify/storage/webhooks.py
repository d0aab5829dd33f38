"""The SQL for webhooks. Some functions set the states of received messages. Deliveries are in `deliveries.py`."""

import sqlite3

from .records import Webhook

_WEBHOOK = ", ".join(Webhook._fields)


def get_webhook(connection: sqlite3.Connection, *, account_id: int) -> Webhook | None:
    """Return the webhook of an account, or None."""
    row = connection.execute(
        f"SELECT {_WEBHOOK} FROM webhooks WHERE account_id = :account_id", {"account_id": account_id}
    ).fetchone()
    return Webhook._make(row) if row else None


def list_urls(connection: sqlite3.Connection) -> list[str]:
    """Return the URLs of the enabled webhooks of all accounts."""
    return [url for (url,) in connection.execute("SELECT url FROM webhooks WHERE disabled_at IS NULL")]


def put_webhook(connection: sqlite3.Connection, *, account_id: int, url: str, secret: str, now: str) -> Webhook:
    """Set the URL of an account's webhook, and enable the webhook. An existing webhook keeps its secret."""
    row = connection.execute(
        "INSERT INTO webhooks (account_id, url, secret, created_at) VALUES (:account_id, :url, :secret, :now)"
        f" ON CONFLICT (account_id) DO UPDATE SET url = excluded.url, disabled_at = NULL RETURNING {_WEBHOOK}",
        {"account_id": account_id, "url": url, "secret": secret, "now": now},
    ).fetchone()
    return Webhook._make(row)


def update_secret(connection: sqlite3.Connection, *, account_id: int, secret: str, former_until: str) -> Webhook | None:
    """Set a new secret for an account's webhook, and keep the former secret. Returns None if there is no webhook."""
    row = connection.execute(
        "UPDATE webhooks SET secret = :secret, former_secret = secret, former_until = :former_until"
        f" WHERE account_id = :account_id RETURNING {_WEBHOOK}",
        {"account_id": account_id, "secret": secret, "former_until": former_until},
    ).fetchone()
    return Webhook._make(row) if row else None


def delete_former_secrets(connection: sqlite3.Connection, *, now: str) -> None:
    """In all accounts, remove the former secrets that have expired."""
    connection.execute(
        "UPDATE webhooks SET former_secret = NULL, former_until = NULL WHERE former_until <= :now", {"now": now}
    )


def delete_webhook(connection: sqlite3.Connection, *, account_id: int) -> Webhook | None:
    """Remove the webhook of an account, and return the removed webhook. Returns None if there was no webhook."""
    row = connection.execute(
        f"DELETE FROM webhooks WHERE account_id = :account_id RETURNING {_WEBHOOK}", {"account_id": account_id}
    ).fetchone()
    return Webhook._make(row) if row else None


def disable_webhook(connection: sqlite3.Connection, *, account_id: int, url: str, now: str) -> bool:
    """Disable the webhook of an account. `put_webhook` can enable the webhook later.

    If `url` is not the webhook's current URL, nothing changes, and the function returns False.
    """
    cursor = connection.execute(
        "UPDATE webhooks SET disabled_at = :now WHERE account_id = :account_id AND url = :url",
        {"account_id": account_id, "url": url, "now": now},
    )
    return cursor.rowcount == 1


# Received messages, whose state depends on the webhook


def settle_received(connection: sqlite3.Connection, *, message_id: str, error_type: str | None, now: str) -> None:
    """Set the final state of an inbound message. If the message already has a final state, nothing changes.

    If `error_type` is given, the new state is `error`. Otherwise, it is `sent`.
    """
    connection.execute(
        "UPDATE messages SET state = iif(:error_type IS NULL, 'sent', 'error'), error_type = :error_type,"
        " finished_at = :now WHERE id = :id AND direction = 'inbound' AND state = 'unconfirmed'",
        {"id": message_id, "error_type": error_type, "now": now},
    )


def settle_all_received(connection: sqlite3.Connection, *, account_id: int, now: str) -> None:
    """Mark all `unconfirmed` inbound messages of an account as `sent`.

    After this, the state of these messages no longer depends on the webhook.
    """
    connection.execute(
        "UPDATE messages SET state = 'sent', finished_at = :now WHERE account_id = :account_id"
        " AND state = 'unconfirmed' AND state <> 'sent' AND direction = 'inbound'",
        {"account_id": account_id, "now": now},
    )
