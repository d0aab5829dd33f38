"""Tests of test runs that end during another operation."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from phonify.domain import accounts
from phonify.domain.runs import NewRun
from phonify.errors import AccountRemoved
from phonify.schemas.fields import Recipient
from phonify.schemas.requests import Draft
from phonify.services import Services
from phonify.sms.numbers import parse_msisdn
from phonify.storage import runs as store
from phonify.storage.database import Connection
from phonify.storage.records import Account, KeywordReplies
from tests.support.app import FakeClock

DRAFT = Draft(to=[Recipient(parse_msisdn("+14560000000"), "to")], body="Hello")


@pytest.fixture
def creator(services: Services, clock: FakeClock) -> Account:
    return accounts.ensure_default_account(services.database, clock)


@pytest.fixture
def run(services: Services, creator: Account) -> NewRun:
    return services.runs.create(creator, ttl=60)


@pytest.fixture
def account(services: Services, run: NewRun) -> Account:
    """The account of the run, as a request read it before the end of the run."""
    found = services.keys.find_account(run.api_key)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "act",
    [
        lambda services, account: services.sending.send(account, DRAFT),
        lambda services, account: services.sending.send_once(account, DRAFT, "key"),
        lambda services, account: services.webhooks.set_url(account, "http://127.0.0.1:1/"),
        lambda services, account: services.subscriptions.set_replies(account, KeywordReplies()),
        lambda services, account: accounts.create_key(services.database, services.clock, account, name=""),
    ],
    ids=["send", "send once", "webhook", "keywords", "key"],
)
def test_what_a_request_stores_after_its_run_was_removed_is_refused(
    services: Services,
    creator: Account,
    run: NewRun,
    account: Account,
    execute: Callable[..., Any],
    act: Callable[[Services, Account], object],
) -> None:
    services.runs.end(creator, run.run.id)
    with pytest.raises(AccountRemoved):
        act(services, account)
    assert execute("SELECT count(*) FROM accounts") == [(1,)]


def test_what_a_request_stores_between_the_end_and_the_removal_is_removed(
    services: Services, run: NewRun, account: Account, clock: FakeClock, execute: Callable[..., Any]
) -> None:
    clock.advance(60)
    services.sending.send(account, DRAFT)
    services.webhooks.set_url(account, "http://127.0.0.1:1/")
    services.runs.remove_ended()
    for table in ("messages", "conversations", "webhooks", "runs"):
        assert execute(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_removal_that_breaks_off_is_finished_by_the_upkeep(
    services: Services, creator: Account, run: NewRun, account: Account, execute: Callable[..., Any]
) -> None:
    services.sending.send(account, DRAFT)
    services.database.stopping = True
    assert services.runs.end(creator, run.run.id).id == run.run.id
    services.database.stopping = False
    assert execute("SELECT count(*) FROM messages") == [(1,)]
    assert services.keys.find_account(run.api_key) is None
    services.make_upkeep().step()
    assert execute("SELECT count(*) FROM messages") == [(0,)]
    assert execute("SELECT count(*) FROM accounts") == [(1,)]


def test_a_run_that_was_ended_stays_ended_if_the_clock_is_set_back(
    services: Services, creator: Account, run: NewRun, clock: FakeClock
) -> None:
    services.database.stopping = True  # so that the rows of the run are not removed
    services.runs.end(creator, run.run.id)
    clock.advance(-600)
    assert services.keys.find_account(run.api_key) is None


def test_runs_sort_by_creation_also_after_the_clock_was_set_back(
    services: Services, creator: Account, clock: FakeClock
) -> None:
    made = []
    for seconds in (0, -600, 0):
        clock.advance(seconds)
        made.append(services.runs.create(creator, ttl=3_600).run)
    assert services.runs.find_all(creator) == made[::-1]


def test_every_table_with_rows_of_an_account_is_known(services: Services) -> None:
    def list_columns(connection: Connection, table: str) -> set[str]:
        return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table])}

    with services.database.reading() as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        columns = {table: list_columns(connection, table) for table in tables}
    assert {*store.TABLES, "runs"} == {table for table, names in columns.items() if "account_id" in names}
    assert all(key in columns[table] for table, key in store.TABLES.items())


def test_rows_are_removed_a_few_at_a_time(
    services: Services, run: NewRun, account: Account, client: FlaskClient, execute: Callable[..., Any]
) -> None:
    client.post("/v1/messages", json={"to": "+14560000000", "body": "The creator's"})
    for _ in range(4):
        services.sending.send(account, DRAFT)
    steps = []
    removed = False
    while not removed:
        with services.database.write() as connection:
            removed = store.delete_account_rows(connection, account_id=account.id, limit=2)
        steps.append(execute("SELECT count(*) FROM messages")[0][0])
    assert steps == [5, 4, 2, 1]  # the first rows are the key, the credentials and a conversation
    assert execute("SELECT body FROM messages") == [("The creator's",)]
