"""Tests of the transactions of sending: the gateway's check before them, and all or nothing inside."""

import hashlib
import json
import sqlite3
from datetime import UTC, datetime
from functools import partial

import pytest

from phonify.clock import format_time
from phonify.domain import accounts
from phonify.errors import Conflict, RequestRefused
from phonify.schemas.answers import dump_sent
from phonify.schemas.fields import Recipient
from phonify.schemas.requests import Draft
from phonify.sms.numbers import parse_msisdn, parse_originator
from phonify.storage.records import Answer, Message
from tests.support.fake_gateway import FakeGateway

PHONES = [Recipient(parse_msisdn(f"+1456000000{number}"), f"to[{number}]") for number in range(3)]
DRAFT = Draft(PHONES, "Hello")


@pytest.fixture
def gateway():
    return FakeGateway()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


@pytest.fixture
def sending(services):
    return services.sending


@pytest.fixture
def account(services, clock):
    return accounts.ensure_default_account(services.database, clock)


def test_the_gateway_is_asked_about_each_recipient_with_no_transaction_open(sending, account, gateway, execute):
    asked = []

    def check(number, _origin, _body):
        asked.append(number)
        execute("UPDATE accounts SET name = name")

    gateway.check = check
    sending.send(account, DRAFT)
    sending.send_once(account, DRAFT, "key")
    assert asked == [recipient.number.number for recipient in PHONES] * 2


def test_a_transaction_that_is_undone_leaves_nothing(sending, account, services, clock, execute):
    accounts.set_limits(services.database, account, quota=5, rate_limit=None)
    account = accounts.find_account(services.database, account.name)
    execute(
        "CREATE TRIGGER fail BEFORE INSERT ON messages WHEN new.to_number = '+14560000002' BEGIN"
        " SELECT RAISE(ABORT, 'not this one'); END"
    )
    for send in (sending.send, lambda *given: sending.send_once(*given, "key")):
        with pytest.raises(sqlite3.IntegrityError, match="not this one"):
            send(account, DRAFT)
    execute("DROP TRIGGER fail")
    assert accounts.count_quota_used(services.database, clock, account) == 0
    for table in ("messages", "conversations", "idempotency_keys"):
        assert execute(f"SELECT count(*) FROM {table}") == [(0,)]
    assert len(sending.send(account, DRAFT).messages) == 3


def test_the_first_answer_is_given_again_and_nothing_is_stored_twice(sending, account, execute):
    first = sending.send_once(account, DRAFT, "key")
    again = sending.send_once(account, DRAFT, "key")
    ids = [id_ for (id_,) in execute("SELECT id FROM messages ORDER BY seq")]
    messages = [sending.find(account, id_) for id_ in ids]
    assert first == (Answer(DRAFT.hash(), 201, json.dumps(dump_sent(messages, []))), True)
    assert again == (first[0], False)
    with pytest.raises(Conflict):
        sending.send_once(account, DRAFT._replace(body="Other"), "key")
    assert len(ids) == 3


def test_of_answers_only_those_that_have_expired_are_forgotten(sending, account, clock, execute, services):
    sending.send_once(account, DRAFT, "old")
    clock.advance(12 * 3_600)
    young = sending.send_once(account, DRAFT, "young")
    clock.advance(12 * 3_600)
    services.retention.clean()
    assert sending.send_once(account, DRAFT, "young") == (young[0], False)
    assert execute("SELECT key FROM idempotency_keys") == [("young",)]


def test_the_hash_of_a_request_is_that_of_earlier_versions_whose_answers_are_kept():
    given = [
        ["body", "Hello"],
        ["origin", "SHOP"],
        ["recipients", ["+14560000000", "+14560000001", "+14560000002"]],
        ["send_at", "2026-01-31T09:30:00+00:00"],
    ]
    draft = DRAFT._replace(origin=parse_originator("SHOP"), send_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    assert draft.hash() == hashlib.sha256(json.dumps(given).encode()).hexdigest()
    without = [given[0], given[2]]
    assert DRAFT._replace(idempotency_key="key").hash() == hashlib.sha256(json.dumps(without).encode()).hexdigest()


def test_each_argument_of_a_request_counts_for_its_hash_except_the_key():
    others = {
        "to": PHONES[:1],
        "body": "Other",
        "origin": parse_originator("SHOP"),
        "send_at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "released_id": "019c1353-98c0-7000-8000-5c0ffee00001",
    }
    of_fronts = {"validity", "front", "front_name"}  # fronts use no idempotency keys
    assert {*others, "idempotency_key"} == set(Draft._fields) - of_fronts
    hashes = {DRAFT.hash(), *(DRAFT._replace(**{name: value}).hash() for name, value in others.items())}
    assert len(hashes) == 1 + len(others)


def test_each_argument_that_is_also_an_attribute_of_a_message_is_stored_with_the_message(sending, account):
    arguments = {"body": "Other", "send_at": datetime(2030, 1, 31, 9, 30, tzinfo=UTC)}
    assert {*arguments, "front"} == set(Draft._fields) & set(Message._fields)  # `front_name` is the front of a message
    sent = sending.send(account, DRAFT._replace(**arguments)).messages[0]
    stored = sending.find(account, sent.id)
    for name, value in arguments.items():
        assert getattr(stored, name) == (format_time(value) if isinstance(value, datetime) else value)


@pytest.mark.parametrize("once", [False, True])
def test_a_request_that_must_not_be_refused_stores_nothing_if_the_quota_is_too_small(
    sending, account, services, clock, execute, once
):
    accounts.set_limits(services.database, account, quota=2, rate_limit=None)
    account = accounts.find_account(services.database, account.name)
    send = partial(sending.send_once, key="key") if once else sending.send
    with pytest.raises(RequestRefused) as raised:
        send(account, DRAFT, keep_refused=False)
    assert [(fault.type, fault.param) for fault in raised.value.faults] == [("quota_used_up", "to[2]")]
    assert accounts.count_quota_used(services.database, clock, account) == 0
    for table in ("messages", "idempotency_keys"):
        assert execute(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_request_that_a_rule_refuses_leaves_its_idempotency_key_free(make_app, clock, execute):
    app = make_app()
    services = app.extensions["phonify"]
    account = accounts.ensure_default_account(services.database, clock)
    rule = {"outcome": "refused", "error": "invalid_number", "to": "+14560000001", "uses": 1}
    assert app.test_client().post("/sandbox/rules", json=rule).status_code == 201
    with pytest.raises(RequestRefused):
        services.sending.send_once(account, DRAFT, "key", keep_refused=False)
    assert execute("SELECT count(*) FROM messages") == execute("SELECT count(*) FROM idempotency_keys") == [(0,)]
    answer, is_first = services.sending.send_once(account, DRAFT, "key", keep_refused=False)
    assert (answer.status, is_first) == (201, True)
