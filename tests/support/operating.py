"""The operator of a server: what tests do by commands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from tests.support.app import KEY, building


class Operator:
    """The operator of a server: what tests do by commands of an app."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()
        self._accounts = {"default"}
        self._key_ids = {KEY: 1}

    def run(self, *arguments: str) -> str:
        """Run a command, which must succeed; return what it prints."""
        result = self._runner.invoke(args=arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def show(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json; return the objects that it prints."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def make_key(self, account: str = "default", *, name: str = "", origin: str | None = None) -> str:
        """Return a new key of an account, which is made for its first key."""
        if account not in self._accounts:
            self.run("accounts", "create", account, *(["--origin", origin] if origin else []))
            self._accounts.add(account)
        made = self.show("keys", "create", "--account", account, "--name", name)[0]
        self._key_ids[made["key"]] = made["id"]
        return str(made["key"])

    def find_key_id(self, key: str) -> int:
        """Return the number that commands and pages call a key by."""
        return self._key_ids[key]

    def revoke_key(self, key: str) -> None:
        """Revoke a key that `make_key` has made, or `KEY`."""
        self.run("keys", "revoke", str(self.find_key_id(key)))

    def set_limits(self, account: str = "default", *, quota: int | None = None, rate: int | None = None) -> None:
        """Set both limits of an account; None means no limit."""
        given = ["none" if limit is None else str(limit) for limit in (quota, rate)]
        self.run("accounts", "limit", account, "--quota", given[0], "--rate", given[1])

    def count_quota_used(self, account: str = "default") -> int:
        """Return how many of today's messages are used."""
        return int(self.show("accounts", "limit", account)[0]["quota_used"])

    def set_webhook(self, url: str, account: str = "default") -> str:
        """Let the events of an account be posted to a URL; return the secret."""
        return str(self.show("webhooks", "set", url, "--account", account)[0]["secret"])

    def find_webhook(self, account: str = "default") -> dict[str, Any] | None:
        """Return the webhook of an account, if it has one."""
        result = self._runner.invoke(args=["webhooks", "show", "--account", account, "--json"])
        return json.loads(result.stdout) if result.exit_code == 0 else None

    def send_test(self, account: str = "default") -> str:
        """Let the event `webhook.test` be posted; return the id of the delivery."""
        return self.run("webhooks", "test", "--account", account).strip()

    def list_deliveries(self, account: str = "default") -> list[dict[str, Any]]:
        """Return what was posted or is to be, the newest last."""
        return self.show("webhooks", "deliveries", "-n", "1000", "--account", account)


@contextmanager
def operating(database: Path) -> Iterator[Operator]:
    """Give the operator of a server that runs in a process of its own."""
    with building({"DATABASE": database}) as app:
        yield Operator(app)
