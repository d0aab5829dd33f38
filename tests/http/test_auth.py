"""Tests of authentication: views that need no key do not search for a key."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.support.app import basic

# Accounts see nothing of each other


@pytest.mark.parametrize(
    "request_",
    [
        {"data": b"x" * 300_000, "content_type": "application/json"},
        {"query_string": "&".join(f"a{number}=1" for number in range(1_200))},
        {"headers": {"Authorization": basic("test-key")}},
    ],
    ids=["large body", "many fields", "key"],
)
def test_what_answers_without_a_key_looks_for_none(
    app: Flask, execute: Callable[..., Any], request_: dict[str, Any]
) -> None:
    execute("ALTER TABLE api_keys RENAME TO elsewhere")

    assert app.test_client().get("/v1/openapi.json", **request_).status_code == 200
