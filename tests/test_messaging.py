"""Where the transactions of messaging begin and end: the gateway's check before them, all or nothing inside."""

import sqlite3

import pytest
from fake_gateway import FakeGateway

from phonify.domain import accounts
from phonify.domain.sending import Accepted, Idempotency
from phonify.errors import Conflict
from phonify.schemas.fields import Recipient
from phonify.sms.numbers import parse_msisdn
from phonify.storage.records import Answer

PHONES = [Recipient(parse_msisdn(f"+1456000000{number}"), f"to[{number}]") for number in range(3)]


@pytest.fixture
def gateway():
    return FakeGateway()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


@pytest.fixture
def messaging(services):
    return services.messaging


@pytest.fixture
def account(services, clock):
    return accounts.ensure_default_account(services.database, clock)


def idempotency(key="key", request_hash="hash"):
    def render(accepted: Accepted):
        return 201, "\n".join(message.id for message in accepted.messages)

    return Idempotency(key, request_hash, render)


def test_the_gateway_is_asked_about_each_recipient_with_no_transaction_open(messaging, account, gateway, execute):
    asked = []

    def check(number):
        asked.append(number)
        execute("UPDATE accounts SET name = name")

    gateway.check = check
    messaging.accept(account, recipients=PHONES, body="Hello")
    messaging.accept_once(account, idempotency(), recipients=PHONES, body="Hello")
    assert asked == [recipient.number.number for recipient in PHONES] * 2


def test_a_transaction_that_is_undone_leaves_nothing(messaging, account, services, clock, execute):
    accounts.set_limits(services.database, account, quota=5, rate_limit=None)
    account = accounts.find_account(services.database, account.name)
    execute(
        "CREATE TRIGGER fail BEFORE INSERT ON messages WHEN new.to_number = '+14560000002' BEGIN"
        " SELECT RAISE(ABORT, 'not this one'); END"
    )
    for accept in (messaging.accept, lambda *given, **more: messaging.accept_once(given[0], idempotency(), **more)):
        with pytest.raises(sqlite3.IntegrityError, match="not this one"):
            accept(account, recipients=PHONES, body="Hello")
    execute("DROP TRIGGER fail")
    assert accounts.count_quota_used(services.database, clock, account) == 0
    for table in ("messages", "conversations", "idempotency_keys"):
        assert execute(f"SELECT count(*) FROM {table}") == [(0,)]
    assert len(messaging.accept(account, recipients=PHONES, body="Hello").messages) == 3


def test_the_first_answer_is_given_again_and_nothing_is_stored_twice(messaging, account, execute):
    first = messaging.accept_once(account, idempotency(), recipients=PHONES, body="Hello")
    again = messaging.accept_once(account, idempotency(), recipients=PHONES, body="Hello")
    ids = [id_ for (id_,) in execute("SELECT id FROM messages ORDER BY seq")]
    assert first == (Answer("hash", 201, "\n".join(ids)), True)
    assert again == (first[0], False)
    with pytest.raises(Conflict):
        messaging.accept_once(account, idempotency(request_hash="other"), recipients=PHONES, body="Hello")
    assert len(ids) == 3


def test_of_answers_only_those_that_have_expired_are_forgotten(messaging, account, clock, execute):
    messaging.accept_once(account, idempotency("old"), recipients=PHONES, body="Hello")
    clock.advance(12 * 3_600)
    young = messaging.accept_once(account, idempotency("young"), recipients=PHONES, body="Hello")
    clock.advance(12 * 3_600)
    messaging.forget_answers()
    assert messaging.accept_once(account, idempotency("young"), recipients=PHONES, body="Hello") == (young[0], False)
    assert execute("SELECT key FROM idempotency_keys") == [("young",)]
