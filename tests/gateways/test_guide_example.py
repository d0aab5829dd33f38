"""Tests that the example in the guide to gateways is a correct gateway."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask

from phonify.config import ConfigError, read_settings
from phonify.gateways import GATEWAYS
from phonify.gateways.base import Doubt, Gateway, GatewayFault, Later, Taken
from tests.gateways.contract import GatewayContract, make_message, send
from tests.support.guides import read_block

PHONE = "+14560000000"


@pytest.fixture(autouse=True)
def cls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Gateway]:
    """Import the example as a file of `phonify/gateways/`, and add it to the gateways."""
    path = tmp_path / "file.py"
    path.write_text(read_block("gateways", "file gateway"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("phonify.gateways.file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(GATEWAYS, "file", module.FileGateway)
    return GATEWAYS["file"]


def make_gateway(path: Path | str) -> Gateway:
    return GATEWAYS["file"].from_environ({"PHONIFY_FILE_PATH": str(path)})


class TestFileGateway(GatewayContract):
    name = "file"
    outcomes: ClassVar = {PHONE: Taken}

    @pytest.fixture
    def gateway(self, tmp_path: Path) -> Gateway:
        return make_gateway(tmp_path / "texts")


def test_a_server_with_it_appends_each_text(
    make_app: Callable[..., Flask],
    deliver: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "texts"
    monkeypatch.setenv("PHONIFY_FILE_PATH", str(path))
    app = make_app(GATEWAY="file")
    client = app.test_client()
    sent: list[Any] = []
    for body in ("Hello", "Olá 👋"):
        sent.append(client.post("/v1/messages", json={"to": PHONE, "body": body}).get_json()["message"])
        deliver(app)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == [
        {"id": one["id"], "from": one["origin"]["number"], "to": PHONE, "body": one["body"]} for one in sent
    ]
    assert {client.get(f"/v1/messages/{one['id']}").get_json()["message"]["state"] for one in sent} == {"sent"}


def test_without_its_path_the_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="PHONIFY_FILE_PATH: is missing"):
        read_settings({"PHONIFY_GATEWAY": "file"})


def test_a_file_that_can_not_be_opened_pauses_the_gateway(tmp_path: Path) -> None:
    gateway = make_gateway(tmp_path / "missing" / "texts")
    reason = "the file can't be opened: No such file or directory"
    assert [outcome for _, outcome in send(gateway, make_message(PHONE))] == [Later(pause=True, reason=reason)]
    with pytest.raises(GatewayFault, match=reason):
        gateway.probe()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_text_that_is_perhaps_written_in_part_is_in_doubt() -> None:
    outcomes = [outcome for _, outcome in send(make_gateway("/dev/full"), make_message(PHONE))]
    assert outcomes == [Doubt("the file can't be written: No space left on device")]


def test_its_probe_names_the_file(tmp_path: Path) -> None:
    assert make_gateway(tmp_path / "texts").probe() == f"texts are appended to {tmp_path / 'texts'}"
