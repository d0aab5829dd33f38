"""Releases caught messages.

A sandbox sends nothing to phones. If a sandbox accepts a message, the state of the message becomes `sent`. Such a
message is called a caught message. A user can release a caught message. Then another gateway sends a copy to the phone.
This other gateway is called the release gateway.
"""

from collections.abc import Sequence

from ..errors import Fault, RequestRefused
from ..schemas.fields import Recipient
from ..schemas.requests import Draft
from ..sms.numbers import parse_msisdn, parse_originator
from ..storage import conversations as conversation_store
from ..storage.database import Database
from ..storage.records import Account, Answer, Message
from .sending import Sending, find_message


class Releasing:
    """Releases caught messages. The setting PHONIFY_RELEASE_GATEWAY contains the name of the release gateway."""

    def __init__(self, database: Database, sandbox: str, sending: Sending | None) -> None:
        self._database = database
        self._sandbox = sandbox  # the name of the gateway that catches messages
        self._sending = sending  # uses the release gateway; None: the server has no release gateway

    def can_release(self, account: Account, message: Message) -> bool:
        """Return whether this server can release a message.

        This method does not check the recipient. See `find_refusal`.
        """
        return self._sending is not None and account.creator_id is None and self._is_caught(message)

    def find_refusal(self, message: Message) -> Fault | None:
        """Return the error that a release of this message would get. Returns None if the release is allowed."""
        if self._sending is None:
            return Fault("no_release_gateway")
        refusal = self._sending.find_refusal(message.to_number, origin=message.origin_number, body=message.body)
        return Fault(refusal) if refusal is not None else None

    def find_copies(self, account: Account, messages: Sequence[Message]) -> dict[str, Message]:
        """Return the copies of released messages. Each key of the result is the id of an original message.

        If a message was released several times, the result contains the latest copy. `messages` must be ordered by
        their ids, latest first.
        """
        if not messages:
            return {}
        with self._database.reading() as connection:
            copies = conversation_store.list_copies(
                connection, account_id=account.id, first=messages[-1].id, last=messages[0].id
            )
        return {copy.released_from: copy for copy in copies if copy.released_from is not None}

    def release(self, account: Account, message_id: str) -> Message:
        """Send a copy of a caught message to the phone, and return the copy.

        Raises NotFound if the account has no message with this id. Raises RequestRefused if the message can't be
        released, or if the recipient is refused. If an error is raised, no message is stored.
        """
        sending, draft = self._draft(account, message_id)
        return sending.send(account, draft, keep_refused=False).messages[0]

    def release_once(self, account: Account, message_id: str, key: str) -> tuple[Answer, bool]:
        """Release a message. If `key` was used before, return the stored answer. See `Sending.send_once`."""
        sending, draft = self._draft(account, message_id)
        return sending.send_once(account, draft, key, keep_refused=False)

    def _draft(self, account: Account, message_id: str) -> tuple[Sending, Draft]:
        with self._database.reading() as connection:
            message = find_message(connection, account, message_id)
        if account.creator_id is not None:
            raise RequestRefused([Fault("run_cannot_release")])
        if self._sending is None:
            raise RequestRefused([Fault("no_release_gateway")])
        if not self._is_caught(message):
            raise RequestRefused([Fault("message_not_releasable")])
        to, origin = parse_msisdn(message.to_number), parse_originator(message.origin_number)
        return self._sending, Draft(to=[Recipient(to, None)], body=message.body, origin=origin, released_id=message.id)

    def _is_caught(self, message: Message) -> bool:
        is_from_sandbox = message.direction == "outbound" and message.gateway == self._sandbox
        return is_from_sandbox and message.state == "sent" and message.body != ""
