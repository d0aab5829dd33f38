"""Tests of the settings of gateways: which of them need each other."""

from collections.abc import Mapping
from typing import Self

import pytest

from phonify.config import ConfigError, read_settings
from phonify.gateways import GATEWAYS
from tests.support.fake_gateway import FakeGateway

STUB_ONLY = "PHONIFY_ONLY_TO: needs PHONIFY_RELEASE_GATEWAY, because the gateway stub sends nothing"
NO_NUMBERS = "PHONIFY_RELEASE_GATEWAY: needs PHONIFY_ONLY_TO with the numbers that are allowed to get messages"
NOT_STUB = "PHONIFY_RELEASE_GATEWAY: needs the gateway stub, because real sends everything"
SENDS_NOTHING = "PHONIFY_RELEASE_GATEWAY: 'stub' sends nothing"
NO_URL = "PHONIFY_REAL_URL: is missing"
NO_PASSWORD = "PHONIFY_REAL_PASSWORD: is missing"
NUMBER = "+14560000000"


class RealGateway(FakeGateway):
    """A gateway that needs two variables."""

    name = "real"
    variables = ("PHONIFY_REAL_URL", "PHONIFY_REAL_PASSWORD")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        missing = [name for name in cls.variables if not environ.get(name)]
        if missing:
            raise ValueError("\n".join(f"{name}: is missing" for name in missing))
        return cls()


@pytest.fixture(autouse=True)
def _real_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GATEWAYS, "real", RealGateway)


def list_faults(**given: str) -> list[str]:
    """Return the faults of settings, without the line before them."""
    try:
        read_settings({f"PHONIFY_{name}": value for name, value in given.items()})
    except ConfigError as error:
        lines = error.message.split("\n  ")
        assert lines[0] == "these settings can't be used:"
        return lines[1:]
    return []


WHOLE = {"REAL_URL": "http://127.0.0.1:1", "REAL_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, []),
        ({"ONLY_TO": NUMBER}, [STUB_ONLY]),
        ({"RELEASE_GATEWAY": "real"}, [NO_NUMBERS]),
        ({"RELEASE_GATEWAY": "real", "ONLY_TO": NUMBER}, []),
        ({"RELEASE_GATEWAY": "stub"}, [SENDS_NOTHING, NO_NUMBERS]),
        ({"RELEASE_GATEWAY": "stub", "ONLY_TO": NUMBER}, [SENDS_NOTHING]),
        ({"GATEWAY": "real"}, []),
        ({"GATEWAY": "real", "ONLY_TO": NUMBER}, []),
        ({"GATEWAY": "real", "RELEASE_GATEWAY": "real"}, [NOT_STUB, NO_NUMBERS]),
        ({"GATEWAY": "real", "RELEASE_GATEWAY": "real", "ONLY_TO": NUMBER}, [NOT_STUB]),
        ({"GATEWAY": "real", "RELEASE_GATEWAY": "stub"}, [SENDS_NOTHING, NOT_STUB, NO_NUMBERS]),
        ({"GATEWAY": "real", "RELEASE_GATEWAY": "stub", "ONLY_TO": NUMBER}, [SENDS_NOTHING, NOT_STUB]),
    ],
)
def test_settings_that_need_each_other_are_checked_together(given: dict[str, str], faults: list[str]) -> None:
    assert list_faults(**WHOLE, **given) == faults


@pytest.mark.parametrize("given", [{"GATEWAY": "real"}, {"RELEASE_GATEWAY": "real", "ONLY_TO": NUMBER}])
def test_a_gateway_reports_the_faults_of_its_own_variables(given: dict[str, str]) -> None:
    assert list_faults(**given) == [NO_URL, NO_PASSWORD]
    assert list_faults(**given, REAL_URL="http://127.0.0.1:1") == [NO_PASSWORD]


def test_a_variable_of_a_gateway_that_is_none_is_missing() -> None:
    with pytest.raises(ConfigError, match=NO_URL):
        read_settings({}, {"GATEWAY": "real", "REAL_URL": None, "REAL_PASSWORD": "secret"})


def test_all_faults_of_gateways_and_of_other_settings_are_reported_together() -> None:
    faults = list_faults(PORT="no", RELEASE_GATEWAY="real", GATEWAY="real", RETAIN_DAYS="0")
    assert [fault.split(":")[0] for fault in faults] == [
        "PHONIFY_PORT",
        "PHONIFY_RETAIN_DAYS",
        "PHONIFY_REAL_URL",
        "PHONIFY_REAL_PASSWORD",
        "PHONIFY_RELEASE_GATEWAY",
        "PHONIFY_RELEASE_GATEWAY",
    ]


def test_a_gateway_that_is_both_is_checked_once() -> None:
    assert list_faults(GATEWAY="real", RELEASE_GATEWAY="real", ONLY_TO=NUMBER) == [NO_URL, NO_PASSWORD, NOT_STUB]


@pytest.mark.parametrize("name", ["GATEWAY", "RELEASE_GATEWAY"])
def test_an_unknown_gateway_is_a_fault_with_the_choices(name: str) -> None:
    (fault,) = list_faults(**{name: "pigeon"})
    assert fault == f"PHONIFY_{name}: 'pigeon' must be {' or '.join(GATEWAYS)}"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("+14560000000", ("+14560000000",)),
        ("+14560000000,+46700000001", ("+14560000000", "+46700000001")),
        (" +14560000000, +46700000001\n", ("+14560000000", "+46700000001")),
        ("+46 (0)70-000 00 01", None),
        ("14560000000", None),
        ("SHOP", None),
        ("", None),
        (" , ", None),
    ],
)
def test_the_permitted_numbers_are_a_list(text: str, numbers: tuple[str, ...] | None) -> None:
    given = {"PHONIFY_GATEWAY": "real", "PHONIFY_ONLY_TO": text, **{f"PHONIFY_{name}": WHOLE[name] for name in WHOLE}}
    if numbers is None:
        with pytest.raises(ConfigError, match="must be E\\.164 numbers"):
            read_settings(given)
    else:
        assert read_settings(given).only_to == numbers
