"""Tests of what the gateway to Twilio asks: what became of a message, and whether the account can send."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from phonify.gateways.base import GatewayFault
from phonify.gateways.events import Receipt
from tests.gateways.contract import make_message
from tests.support.receivers import Received as Seen
from tests.support.receivers import Receiver, answer, status
from tests.support.servers import find_free_port
from tests.support.twilio_service import (
    MESSAGE_SID,
    MESSAGES,
    SID,
    TOKEN,
    get_base,
    make_gateway,
    make_resource,
    read_fields,
    read_user,
    write_answer,
    write_error,
)

MESSAGE = make_message("+14155552671")
UPDATED = datetime(2023, 8, 24, 5, 1, 45, tzinfo=UTC)  # of the resource


@pytest.fixture
def service() -> Iterator[Receiver]:
    receiver = Receiver(write_answer(200, make_resource()))
    yield receiver
    receiver.close()


def look_up(service: Receiver, *references: str) -> list[Receipt]:
    return list(make_gateway(get_base(service)).look_up(MESSAGE, references))


# With a reference


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"status": "queued"}, Receipt("sent", code="queued")),
        ({"status": "sent"}, Receipt("sent", code="sent")),
        ({"status": "delivered"}, Receipt("delivered", code="delivered")),
        (
            {"status": "undelivered", "error_code": 30003},
            Receipt("undelivered", error_type="unreachable_handset", code="30003"),
        ),
        ({"status": "failed", "error_code": None}, Receipt("undelivered", error_type="delivery_failed", code="failed")),
    ],
)
def test_a_message_is_asked_for_by_its_sid(service: Receiver, resource: dict[str, object], expected: Receipt) -> None:
    service.act = write_answer(200, make_resource(**resource))
    event_id = f"{MESSAGE_SID}:{resource['status']}"
    found = expected._replace(message_id=MESSAGE.id, reference=MESSAGE_SID, at=UPDATED, event_id=event_id)
    assert look_up(service, MESSAGE_SID) == [found]
    (seen,) = service.received
    assert seen.line == f"GET /2010-04-01/Accounts/{SID}/Messages/{MESSAGE_SID}.json HTTP/1.1"
    assert read_user(seen) == f"{SID}:{TOKEN}"


@pytest.mark.parametrize(
    "date",
    [
        *(None, "", "yesterday", "Thu, 24 Aug 2023 05:01:45", "Thu, 24 Aug 9999999 05:01:45 +0000", 7),
        "Fri, 31 Dec 9999 23:59:59 -1200",
    ],
)
def test_a_date_that_is_not_valid_is_now(service: Receiver, date: object) -> None:
    service.act = write_answer(200, make_resource(date_updated=date))
    assert look_up(service, MESSAGE_SID)[0].at is None


def test_a_message_that_the_service_has_forgotten_is_not_known(service: Receiver) -> None:
    service.act = write_error(20404, 404)
    assert look_up(service, MESSAGE_SID) == []


@pytest.mark.parametrize("resource", [{"status": "teleported"}, {"status": None}, {"sid": None}])
def test_a_status_that_is_not_known_tells_nothing(service: Receiver, resource: dict[str, object]) -> None:
    service.act = write_answer(200, make_resource(**resource))
    assert look_up(service, MESSAGE_SID) == []


def test_a_reference_can_not_lead_to_another_address(service: Receiver) -> None:
    look_up(service, "../x?y#z")
    assert service.received[0].line == f"GET /2010-04-01/Accounts/{SID}/Messages/..%2Fx%3Fy%23z.json HTTP/1.1"


# Without a reference


def list_messages(*resources: object, **envelope: object) -> object:
    return {"messages": list(resources), "next_page_uri": None, **envelope}


OTHER = [make_resource(body="Bye"), make_resource(**{"from": "SHOP"}), make_resource(to="+14155550000"), None, "x"]


def test_the_one_message_with_the_same_sender_recipient_and_text_is_found(service: Receiver) -> None:
    service.act = write_answer(200, list_messages(*OTHER, make_resource(status="sent")))
    event_id = f"{MESSAGE_SID}:sent"
    assert look_up(service) == [Receipt("sent", MESSAGE.id, MESSAGE_SID, code="sent", at=UPDATED, event_id=event_id)]


def test_messages_are_listed_from_the_time_of_the_message_on(service: Receiver) -> None:
    service.act = write_answer(200, list_messages())
    look_up(service)
    (seen,) = service.received
    assert seen.line.startswith(f"GET {MESSAGES}?")
    assert unquote(seen.line).count("DateSent>=2026-") == 1
    # The id of the message is of 09:30:00, and the clocks may differ by a minute.
    assert read_fields(seen) == {"To": "+14155552671", "DateSent>": "2026-01-31T09:29:00Z", "PageSize": "100"}


@pytest.mark.parametrize(
    "content",
    [
        list_messages(),
        list_messages(*OTHER),
        list_messages(make_resource(), make_resource(sid=f"SM{'c' * 32}")),
        list_messages(make_resource(), next_page_uri="/2010-04-01/more"),
        {"messages": None},
        {"messages": {}},
        {"sid": "x"},
    ],
    ids=["none", "others", "two", "more pages", "null", "an object", "no list"],
)
def test_if_it_is_not_certain_which_message_it_is_nothing_is_known(service: Receiver, content: object) -> None:
    service.act = write_answer(200, content)
    assert look_up(service) == []


def test_a_hundred_long_messages_are_read(service: Receiver) -> None:
    others = [make_resource(body="🎉" * 1_600) for _ in range(99)]
    service.act = write_answer(200, list_messages(*others, make_resource()))
    assert len(look_up(service)) == 1


@pytest.mark.parametrize("references", [(), (MESSAGE_SID,)])
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (write_error(20003, 401), r"the credentials are not accepted \(20003\)"),
        (write_error(20429, 429), r"too many requests \(20429\)"),
        (write_error(20500, 500), "HTTP status 500, code 20500"),
        (status(502), "HTTP status 502"),
        (status(302, "Location: http://127.0.0.1:9/"), "HTTP status 302"),
        (status(200, body="<html>"), "HTTP status 200"),
        (answer(b""), "the connection was closed without an answer"),
    ],
)
def test_if_the_service_does_not_tell_that_is_a_fault(
    service: Receiver, act: object, reason: str, references: tuple[str, ...]
) -> None:
    service.act = act  # type: ignore[assignment]
    with pytest.raises(GatewayFault, match=reason):
        look_up(service, *references)


# The account


def test_the_account_is_asked_for(service: Receiver) -> None:
    service.act = write_answer(200, {"sid": SID, "status": "active", "type": "Full"})
    assert make_gateway(get_base(service)).probe() == "the account is active"
    (seen,) = service.received
    assert (seen.line, read_user(seen)) == (f"GET /2010-04-01/Accounts/{SID}.json HTTP/1.1", f"{SID}:{TOKEN}")


def test_an_account_for_trial_is_named_so(service: Receiver) -> None:
    service.act = write_answer(200, {"status": "active", "type": "Trial"})
    assert make_gateway(get_base(service)).probe() == "the account is active, for trial"


@pytest.mark.parametrize("state", ["suspended", "closed", None])
def test_an_account_that_is_not_active_is_a_fault(service: Receiver, state: str | None) -> None:
    service.act = write_answer(200, {"status": state})
    with pytest.raises(GatewayFault, match="the account is not active"):
        make_gateway(get_base(service)).probe()


def test_an_api_key_is_tried_with_a_list_because_most_keys_can_not_read_the_account(service: Receiver) -> None:
    def act(client: socket.socket, seen: Seen) -> None:
        content = list_messages() if "Messages" in seen.line else {"status": "active"}
        write_answer(200, content)(client, seen)

    service.act = act
    gateway = make_gateway(get_base(service), KEY_SID="SK1", KEY_SECRET="s3cret")
    assert gateway.probe() == "the API key is accepted; the account is active"
    assert [read_user(seen) for seen in service.received] == ["SK1:s3cret", f"{SID}:{TOKEN}"]
    assert service.received[0].line == f"GET {MESSAGES}?PageSize=1 HTTP/1.1"


def test_an_api_key_alone_is_enough(service: Receiver) -> None:
    service.act = write_answer(200, list_messages())
    gateway = make_gateway(get_base(service), public_url=None, AUTH_TOKEN="", KEY_SID="SK1", KEY_SECRET="s3cret")
    assert gateway.probe() == "the API key is accepted"


@pytest.mark.parametrize(("code", "http_status"), [(20003, 401), (20404, 404), (20005, 403)])
def test_wrong_credentials_are_a_fault(service: Receiver, code: int, http_status: int) -> None:
    service.act = write_error(code, http_status)
    with pytest.raises(GatewayFault, match=rf"\({code}\)"):
        make_gateway(get_base(service)).probe()


def test_a_service_that_can_not_be_reached_is_a_fault_without_a_secret() -> None:
    with pytest.raises(GatewayFault, match="the connection was refused") as caught:
        make_gateway(f"http://127.0.0.1:{find_free_port()}").probe()
    assert TOKEN not in str(caught.value)
