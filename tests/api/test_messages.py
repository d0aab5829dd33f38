"""Tests that a commit is synced to disk, and that answers for idempotency keys are removed."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from flask.testing import FlaskClient

from phonify.services import Services
from tests.support.app import FakeClock

GOOD = {"to": "+14560000000", "body": "Hello"}


# Sending


def test_a_commit_is_synced_to_disk(send: Callable[..., Any], services: Services) -> None:
    send()

    with services.database.write() as connection:
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()

    assert synchronous == 2  # FULL: each commit is synced, also in WAL mode


# Idempotency


def test_cleaning_forgets_only_the_keys_that_have_run_out(
    client: FlaskClient, clock: FakeClock, services: Services
) -> None:
    client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "old"})
    clock.advance(12 * 3_600)
    young = client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "young"})
    clock.advance(12 * 3_600 + 1)

    services.retention.clean()

    again = client.post("/v1/messages", json=GOOD, headers={"Idempotency-Key": "young"})
    assert again.data == young.data
    with closing(sqlite3.connect(services.settings.database)) as other:
        assert other.execute("SELECT key FROM idempotency_keys").fetchall() == [("young",)]
