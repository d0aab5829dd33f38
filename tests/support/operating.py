"""The operator of a server. Tests run commands with it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from tests.support.app import KEY, building


class Operator:
    """The operator of a server. It runs the commands of an app."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()
        self._accounts = {"default"}
        self._key_ids = {KEY: 1}

    def run(self, *arguments: str) -> str:
        """Run a command. It must succeed. Returns its output."""
        result = self._runner.invoke(args=arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def show(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json. Returns the objects that it prints."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def make_key(self, account: str = "default", *, name: str = "", origin: str | None = None) -> str:
        """Return a new key of an account. Creates the account if it does not exist."""
        if account not in self._accounts:
            self.run("accounts", "create", account, *(["--origin", origin] if origin else []))
            self._accounts.add(account)
        made = self.show("keys", "create", "--account", account, "--name", name)[0]
        self._key_ids[made["key"]] = made["id"]
        return str(made["key"])

    def find_key_id(self, key: str) -> int:
        """Return the id of a key, which commands and pages use."""
        return self._key_ids[key]

    def revoke_key(self, key: str) -> None:
        """Revoke a key of `make_key`, or `KEY`."""
        self.run("keys", "revoke", str(self.find_key_id(key)))

    def set_limits(self, account: str = "default", *, quota: int | None = None, rate: int | None = None) -> None:
        """Set both limits of an account; None means no limit."""
        given = ["none" if limit is None else str(limit) for limit in (quota, rate)]
        self.run("accounts", "limit", account, "--quota", given[0], "--rate", given[1])

    def count_quota_used(self, account: str = "default") -> int:
        """Return the number of messages that count for today's quota."""
        return int(self.show("accounts", "limit", account)[0]["quota_used"])

    def set_webhook(self, url: str, account: str = "default") -> str:
        """Set the URL that gets the events of an account. Returns the secret."""
        return str(self.show("webhooks", "set", url, "--account", account)[0]["secret"])

    def find_webhook(self, account: str = "default") -> dict[str, Any] | None:
        """Return the webhook of an account, or None."""
        result = self._runner.invoke(args=["webhooks", "show", "--account", account, "--json"])
        return json.loads(result.stdout) if result.exit_code == 0 else None

    def send_test(self, account: str = "default") -> str:
        """Post the event `webhook.test`. Returns the id of the delivery."""
        return self.run("webhooks", "test", "--account", account).strip()

    def list_deliveries(self, account: str = "default") -> list[dict[str, Any]]:
        """Return the deliveries, oldest first."""
        return self.show("webhooks", "deliveries", "-n", "1000", "--account", account)


@contextmanager
def operating(database: Path) -> Iterator[Operator]:
    """Return the operator of a server in a separate process."""
    with building({"DATABASE": database}) as app:
        yield Operator(app)
