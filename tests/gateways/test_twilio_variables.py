"""Tests of the variables of the gateway to Twilio."""

import re
from pathlib import Path

import pytest

import phonify
from phonify.gateways.twilio import TwilioGateway
from tests.support.twilio_service import SID, STATUS_PATH, TOKEN, make_gateway, make_hook, report


def fail(**given: str) -> list[str]:
    """Return the faults of variables."""
    with pytest.raises(ValueError, match="PHONIFY_TWILIO_GATEWAY") as caught:
        make_gateway(**given)
    return [line.removeprefix("PHONIFY_TWILIO_GATEWAY_") for line in str(caught.value).splitlines()]


def test_all_faults_are_reported_together() -> None:
    assert fail(ACCOUNT_SID="", AUTH_TOKEN="", URL="ftp://x", NUMBER="SHOP", KEY_SECRET="s3cret") == [
        "ACCOUNT_SID: is missing",
        "KEY_SID: is missing. If KEY_SECRET is set, KEY_SID must be set",
        "AUTH_TOKEN: is missing; set it, or set PHONIFY_TWILIO_GATEWAY_AUTH_TOKEN_FILE to a file that contains it",
        "URL: is not a URL that can be used: it must begin with https:// or http://",
        "NUMBER: 'SHOP' must be an E.164 number with the plus sign, or a short code",
    ]


@pytest.mark.parametrize("name", ["ACCOUNT_SID", "KEY_SID", "MESSAGING_SERVICE_SID"])
def test_a_sid_with_other_characters_is_a_fault_that_does_not_show_it(name: str) -> None:
    given = {"KEY_SECRET": "s3cret"} if name == "KEY_SID" else {}
    (fault,) = fail(**{name: f"{SID}:{TOKEN}", **given})
    assert fault == f"{name}: must be a SID, for example AC followed by 32 hexadecimal digits"


def test_an_api_key_needs_its_secret() -> None:
    assert fail(KEY_SID="SK1") == [
        "KEY_SECRET: is missing; set it, or set PHONIFY_TWILIO_GATEWAY_KEY_SECRET_FILE to a file that contains it"
    ]


def test_with_an_api_key_and_without_callbacks_the_auth_token_is_not_needed() -> None:
    key = {"KEY_SID": "SK1", "KEY_SECRET": "s3cret", "AUTH_TOKEN": ""}
    make_gateway(public_url=None, **key)
    assert fail(**key)[0].startswith("AUTH_TOKEN: is missing")


def test_secrets_may_be_in_files(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from the file\n")
    gateway = make_gateway(AUTH_TOKEN="", AUTH_TOKEN_FILE=str(file))
    assert len(gateway.hear(make_hook(STATUS_PATH, report("sent"), token="from the file")).events) == 1


def test_no_secret_shows_itself() -> None:
    gateway = make_gateway(KEY_SID="SK1", KEY_SECRET="s3cret")
    assert "s3cret" not in repr(vars(gateway))
    assert TOKEN not in repr(vars(gateway)) + repr(
        [vars(part) for part in vars(gateway).values() if hasattr(part, "__dict__")]
    )


def test_the_guide_has_every_variable() -> None:
    guide = Path(phonify.__file__).with_name("docs").joinpath("gateways-twilio.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(PHONIFY_\w+)`", guide, re.MULTILINE) == list(TwilioGateway.variables)
