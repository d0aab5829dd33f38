"""The SQL for the tables of fronts. For example, one table contains refused requests.

A front is a part of Phonify that offers a provider's API, such as Twilio's API.
"""

import json
import sqlite3
from collections.abc import Sequence

from .front_records import FrontAccount, FrontMessage, Refusal

_ACCOUNT = ", ".join(FrontAccount._fields)
_MESSAGE = ", ".join(FrontMessage._fields)


def get_front_account(connection: sqlite3.Connection, *, account_id: int) -> FrontAccount | None:
    """Return an account's data for the Twilio-compatible API. Returns None if there is no data."""
    row = connection.execute(
        f"SELECT {_ACCOUNT} FROM front_accounts WHERE account_id = :account_id", {"account_id": account_id}
    ).fetchone()
    return FrontAccount._make(row) if row else None


def put_front_account(connection: sqlite3.Connection, *, account: FrontAccount) -> None:
    """Store an account's data for the Twilio-compatible API. The new data replaces existing data of the account."""
    connection.execute(
        f"INSERT OR REPLACE INTO front_accounts ({_ACCOUNT}) VALUES (:account_id, :auth_token,"
        " :inbound_url, :inbound_method, :fallback_url, :fallback_method)",
        account._asdict(),
    )


def insert_front_messages(connection: sqlite3.Connection, *, message_ids: Sequence[str], message: FrontMessage) -> None:
    """Store the same data for several messages. Replaces existing data."""
    values = {
        **message._asdict(),
        "media": json.dumps(message.media),
        "parameters": json.dumps(dict(message.parameters)),
    }
    connection.executemany(
        f"INSERT OR REPLACE INTO front_messages (message_id, {_MESSAGE}) VALUES (:message_id, :is_reply, :service_sid,"
        " :status_callback, :media, :parameters, :feedback, :feedback_at)",
        [{**values, "message_id": message_id} for message_id in message_ids],
    )


def get_front_message(connection: sqlite3.Connection, *, message_id: str) -> FrontMessage:
    """Return a front's data about a message.

    A front offers the API of an SMS provider. For example, one front offers the API of Twilio. Returns the defaults
    if nothing is stored.
    """
    row = connection.execute(
        f"SELECT {_MESSAGE} FROM front_messages WHERE message_id = :message_id", {"message_id": message_id}
    ).fetchone()
    if row is None:
        return FrontMessage()
    found = FrontMessage._make(row)
    return found._replace(is_reply=bool(found.is_reply), media=tuple(json.loads(row[3])), parameters=json.loads(row[4]))


def insert_refusal(connection: sqlite3.Connection, *, account_id: int, refusal: Refusal, limit: int) -> None:
    """Store a refused request of an account.

    If the account then has more than `limit` refused requests, the function removes the oldest requests.
    """
    connection.execute(
        "INSERT INTO front_refusals (account_id, at, to_number, origin, body, code, meaning)"
        " VALUES (:account_id, :at, :to, :origin, :body, :code, :meaning)",
        {"account_id": account_id, **refusal._asdict()},
    )
    connection.execute(
        "DELETE FROM front_refusals WHERE seq IN (SELECT seq FROM front_refusals WHERE account_id = :account_id"
        " ORDER BY seq DESC LIMIT -1 OFFSET :limit)",
        {"account_id": account_id, "limit": limit},
    )


def list_refusals(connection: sqlite3.Connection, *, account_id: int) -> list[Refusal]:
    """Return the refused requests of an account, newest first."""
    rows = connection.execute(
        "SELECT at, to_number, origin, body, code, meaning FROM front_refusals WHERE account_id = :account_id"
        " ORDER BY seq DESC",
        {"account_id": account_id},
    )
    return [Refusal._make(row) for row in rows]


def delete_refusals(connection: sqlite3.Connection, *, account_id: int) -> None:
    """Remove the refused requests of an account."""
    connection.execute("DELETE FROM front_refusals WHERE account_id = :account_id", {"account_id": account_id})


def delete_old_refusals(connection: sqlite3.Connection, *, until: str) -> None:
    """Remove all requests that were refused before the given time. Each account has only a few of these requests."""
    connection.execute("DELETE FROM front_refusals WHERE at < :until", {"until": until})
