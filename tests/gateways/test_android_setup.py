"""Tests of the variables of the gateway `android`, of its probe and of the registration of its callbacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from phonify.gateways.android import AndroidGateway
from phonify.gateways.base import GatewayFault, Later
from phonify.gateways.variables import Secret
from tests.gateways.contract import make_message, send
from tests.support.android_callbacks import DEVICE, OTHER_DEVICE, PASSWORD, SIGNING_KEY, USERNAME
from tests.support.android_server import AndroidServer, serving
from tests.support.servers import find_free_port

PHONE = {
    "PHONIFY_ANDROID_URL": "http://192.168.1.7:8080/",
    "PHONIFY_ANDROID_USERNAME": "sms",
    "PHONIFY_ANDROID_PASSWORD": PASSWORD,
}
URL = "https://sms.example.org/gateways/android/callback"


@pytest.fixture
def server() -> Iterator[AndroidServer]:
    with serving() as server:
        yield server


def make(server: AndroidServer, **variables: str) -> AndroidGateway:
    return AndroidGateway.from_environ({**server.environ, "PHONIFY_PUBLIC_URL": "https://sms.example.org", **variables})


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ValueError) as caught:
        AndroidGateway.from_environ(environ)
    return str(caught.value).splitlines()


# Variables


def test_all_faults_are_told_together() -> None:
    told = faults({"PHONIFY_ANDROID_SIM": "4", "PHONIFY_ANDROID_NUMBER": "0701234567"})
    assert [line.split(":")[0] for line in told] == [
        f"PHONIFY_ANDROID_{name}" for name in ("URL", "USERNAME", "PASSWORD", "SIM", "NUMBER")
    ]


def test_a_server_needs_the_device_and_a_phone_does_not() -> None:
    AndroidGateway.from_environ(PHONE)
    for url in ("https://api.sms-gate.app/3rdparty/v1", "https://sms.example.org/api/3rdparty/v1"):
        (fault,) = faults({**PHONE, "PHONIFY_ANDROID_URL": url})
        assert fault.startswith("PHONIFY_ANDROID_DEVICE: is missing")
        AndroidGateway.from_environ({**PHONE, "PHONIFY_ANDROID_URL": url, "PHONIFY_ANDROID_DEVICE": DEVICE})


def test_a_user_name_has_no_colon() -> None:
    assert faults({**PHONE, "PHONIFY_ANDROID_USERNAME": "a:b"}) == [
        "PHONIFY_ANDROID_USERNAME: it must not have a colon"
    ]


def test_secrets_can_be_in_files(server: AndroidServer, tmp_path: Path) -> None:
    environ = dict(server.environ)
    for name in ("PHONIFY_ANDROID_PASSWORD", "PHONIFY_ANDROID_SIGNING_KEY"):
        file = tmp_path / name
        file.write_text(environ.pop(name) + "\n")
        environ[f"{name}_FILE"] = str(file)
    assert set(environ) < set(AndroidGateway.variables)
    assert "health pass" in AndroidGateway.from_environ(environ).probe()


def test_secrets_show_neither_in_the_object_nor_in_outcomes_faults_and_logs(
    server: AndroidServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    gateway = make(server, PHONIFY_ANDROID_PASSWORD="wrong but secret", PHONIFY_ANDROID_SIGNING_KEY="another secret")
    texts = [repr(gateway), repr(vars(gateway)), repr(send(gateway, make_message("+14560000000")))]
    for ask in (gateway.probe, gateway.register):
        with pytest.raises(GatewayFault) as caught:
            ask()
        texts.append(repr(caught.value))
    assert "secret" not in "".join([*texts, caplog.text])


# Probes


def test_a_probe_names_the_app_and_the_device(server: AndroidServer) -> None:
    assert make(server).probe() == (
        f"app 1.2.3, health pass; device {DEVICE} (Phone in the office), last seen 2026-01-31T09:30:00Z"
    )
    assert [seen.path for seen in server.seen] == ["/3rdparty/v1/health", "/3rdparty/v1/devices"]


def test_a_probe_finds_the_device_in_an_old_version_of_the_app(server: AndroidServer) -> None:
    server.devices_path = "device"
    assert DEVICE in make(server).probe()


def test_a_probe_fails_if_the_app_does_not_know_the_device(server: AndroidServer) -> None:
    with pytest.raises(GatewayFault, match=f"does not know the device; .* known devices: {DEVICE}, {OTHER_DEVICE}"):
        make(server, PHONIFY_ANDROID_DEVICE="gone").probe()


def test_a_probe_fails_if_no_device_is_chosen_and_there_are_several(server: AndroidServer) -> None:
    gateway = AndroidGateway(server.url, USERNAME, Secret(PASSWORD))
    with pytest.raises(GatewayFault, match="PHONIFY_ANDROID_DEVICE must name one of the devices"):
        gateway.probe()
    del server.devices[OTHER_DEVICE]
    assert DEVICE in gateway.probe()
    server.devices.clear()
    with pytest.raises(GatewayFault, match="known devices: none"):
        gateway.probe()


def test_a_probe_fails_if_the_password_is_wrong(server: AndroidServer) -> None:
    with pytest.raises(
        GatewayFault, match="refuses the credentials; check PHONIFY_ANDROID_USERNAME and PHONIFY_ANDROID_PASSWORD"
    ):
        make(server, PHONIFY_ANDROID_PASSWORD="wrong").probe()


def test_a_probe_fails_if_nothing_answers() -> None:
    with pytest.raises(GatewayFault, match="the connection was refused"):
        AndroidGateway.from_environ({**PHONE, "PHONIFY_ANDROID_URL": f"http://127.0.0.1:{find_free_port()}"}).probe()


# Registration


def test_registration_makes_one_webhook_for_each_event_of_the_device(server: AndroidServer) -> None:
    lines = make(server).register()
    assert [(one["event"], one["url"], one["deviceId"]) for one in server.webhooks.values()] == [
        (event, URL, DEVICE) for event in ("sms:received", "sms:sent", "sms:delivered", "sms:failed")
    ]
    assert all(len(id_) <= 36 for id_ in server.webhooks)
    assert lines == [f"{one['event']}: registered for {URL}" for one in server.webhooks.values()]


def test_registration_can_be_repeated(server: AndroidServer) -> None:
    make(server).register()
    before = dict(server.webhooks)
    lines = make(server).register()
    assert server.webhooks == before
    assert lines == [f"{one['event']}: was registered already for {URL}" for one in before.values()]


def test_registration_repairs_a_webhook_that_somebody_has_changed(server: AndroidServer) -> None:
    make(server).register()
    next(iter(server.webhooks.values()))["url"] = "https://elsewhere.example.org"
    make(server).register()
    assert {one["url"] for one in server.webhooks.values()} == {URL}


def test_registration_leaves_the_webhooks_of_others_unchanged(server: AndroidServer) -> None:
    server.webhooks["theirs"] = {"id": "theirs", "url": "https://theirs.example.org", "event": "sms:received"}
    make(server, PHONIFY_PUBLIC_URL="https://staging.example.org").register()
    lines = make(server).register()
    assert lines[-1] == "webhooks of other programs, left unchanged: 5"
    assert server.webhooks["theirs"]["url"] == "https://theirs.example.org"
    assert len(server.webhooks) == 9


def test_registration_needs_the_public_url_and_the_signing_key(server: AndroidServer) -> None:
    with pytest.raises(GatewayFault, match="PHONIFY_PUBLIC_URL is missing; PHONIFY_ANDROID_SIGNING_KEY is missing"):
        make(server, PHONIFY_PUBLIC_URL="", PHONIFY_ANDROID_SIGNING_KEY="").register()
    assert server.webhooks == {}


def test_registration_says_that_the_app_posts_only_with_tls(server: AndroidServer) -> None:
    assert "only to https://" in make(server, PHONIFY_PUBLIC_URL="http://192.168.1.2:5000").register()[0]
    assert "only to https://" not in "".join(make(server, PHONIFY_PUBLIC_URL="http://127.0.0.1:5000").register())


def test_a_gateway_without_the_public_url_sends(server: AndroidServer) -> None:
    gateway = AndroidGateway.from_environ({**PHONE, **server.environ})
    ((_, outcome),) = send(gateway, make_message("+14560000000"))
    assert not isinstance(outcome, Later)
    assert SIGNING_KEY not in repr(vars(gateway))
