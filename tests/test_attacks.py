"""Tests of attacks on the app: the time that a wrong key takes, and the addresses that a webhook may reach."""

import statistics
import time
from collections.abc import Callable

import pytest

from phonify.domain import accounts
from phonify.outgoing.http_client import NotAnswered, Request, send

# Keys


def test_a_key_that_was_revoked_or_is_nearly_right_takes_no_longer_than_any_other(services, clock):
    account = accounts.ensure_default_account(services.database, clock)
    key_id, revoked = accounts.create_key(services.database, clock, account, name="")
    accounts.revoke_key(services.database, clock, key_id)
    kinds = {"revoked": revoked, "nearly right": f"{revoked[:-1]}x", "short": "x", "unlike": f"phk_{'x' * 32}"}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(400):
        for kind, key in kinds.items():
            begun = time.perf_counter()
            assert services.keys.find_account(key) is None
            seconds[kind].append(time.perf_counter() - begun)
    medians = {kind: statistics.median(taken) * 1e6 for kind, taken in seconds.items()}
    print(f"\nwrong keys, median microseconds: { {kind: round(median) for kind, median in medians.items()} }")
    assert max(medians.values()) < 2 * min(medians.values())


# Addresses of webhooks


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
        "127.000.000.001", "localhost", "LOCALHOST", "localhost.", "0", "0.0.0.0", "[::1]", "[::]",
        "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "[fe80::1%25lo]", "[::1%25lo]", "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1",
        "x@127.0.0.1", "127.0.0.1#@example.com", "127.0.0.1\\@example.com", "127.0.0.1%00.example.com",
    ],
)  # fmt: skip
def test_no_notation_of_an_address_of_this_machine_is_posted_to(receiver, host):
    authority, _, rest = host.partition("#")
    request = Request("POST", f"http://{authority}:{receiver.port}/{'#' + rest if rest else ''}", b"{}", {})
    with pytest.raises(NotAnswered):
        send(request, private_allowed=False)
    assert receiver.received == []


def test_a_name_whose_address_changes_between_the_check_and_the_connection_gains_nothing(receiver):
    answers = iter([["192.0.2.1"], ["127.0.0.1"], ["127.0.0.1"]])
    request = Request("POST", f"http://rebinding.example:{receiver.port}/", b"{}", {}, timeout=1)
    with pytest.raises(NotAnswered):
        send(request, private_allowed=False, resolve=lambda host, port: next(answers))
    assert receiver.received == []


def test_an_account_can_set_no_webhook_to_an_address_of_this_machine(make_app: Callable[..., object], receiver):
    app = make_app(WEBHOOK_PRIVATE=False)
    services = app.extensions["phonify"]
    account = accounts.ensure_default_account(services.database, services.clock)
    client = app.test_client()
    for host in ("localhost", "localtest.example"):
        services.webhooks.set_url(account, f"http://{host}:{receiver.port}/")
        services.webhooks.send_test(account)
        poster = services.make_webhook_loop(resolve=lambda host, port: ["127.0.0.1"])
        assert poster.deliver_due() == 1
        (attempt,) = services.webhooks.list_deliveries(account, limit=1)[0].tries
        assert attempt.error == "addresses like 127.0.0.1 are not allowed without PHONIFY_WEBHOOK_PRIVATE=on"
        assert attempt.answer is None  # and its answer is shown to nobody
    assert client.get("/v1/messages").status_code == 200
    assert receiver.received == []
