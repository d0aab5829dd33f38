"""Tests of the SQL of idempotency keys: finding and removing answers."""

import pytest

from phonify.storage.idempotency import delete_answers, get_answer, put_answer
from phonify.storage.records import Answer
from tests.storage.rows import LATER, NOW, opening

ANSWER = Answer("hash", 201, "{}")


@pytest.fixture
def connection(tmp_path):
    with opening(tmp_path) as connection:
        yield connection


def test_an_answer_is_found_until_it_expires_and_only_by_its_account(connection):
    put_answer(connection, account_id=1, key="key", answer=ANSWER, now=NOW)
    assert get_answer(connection, account_id=1, key="key", since="2026-01-31T09:29:59.999Z") == ANSWER
    assert get_answer(connection, account_id=1, key="key", since=NOW) is None
    assert get_answer(connection, account_id=2, key="key", since="2026-01-30T09:30:00.000Z") is None


def test_a_new_answer_takes_the_place_of_one_that_has_expired(connection):
    put_answer(connection, account_id=1, key="key", answer=ANSWER, now=NOW)
    put_answer(connection, account_id=1, key="key", answer=Answer("other", 402, "[]"), now=LATER)
    assert get_answer(connection, account_id=1, key="key", since=NOW) == Answer("other", 402, "[]")


def test_answers_that_have_expired_are_removed_a_few_at_a_time(connection):
    for number in range(5):
        put_answer(connection, account_id=1, key=f"old {number}", answer=ANSWER, now=NOW)
    put_answer(connection, account_id=1, key="new", answer=ANSWER, now=LATER)
    assert [delete_answers(connection, until=NOW, limit=3) for _ in range(3)] == [3, 2, 0]
    assert connection.execute("SELECT key FROM idempotency_keys").fetchall() == [("new",)]
