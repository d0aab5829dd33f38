"""Tests of settings: defaults, allowed values, and the report of faults."""

from datetime import timedelta
from pathlib import Path

import pytest

from phonify import create_app
from phonify.config import ConfigError, Settings, read_settings, unknown_settings
from phonify.gateways import GATEWAYS


def test_without_any_variable_each_setting_has_its_default():
    assert read_settings({}) == Settings(
        database=Path("phonify.db"),
        host="127.0.0.1",
        port=8000,
        api_key=None,
        origin="+15005550006",
        gateway="stub",
        workers=2,
        threads=8,
        waiting=64,
        validity=timedelta(hours=24),
        lease=timedelta(seconds=30),
        grace=30,
        keepalive=75,
        cors=(),
        access_log=True,
        log_level="INFO",
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATABASE", "/srv/phonify/sms.db", Path("/srv/phonify/sms.db")),
        ("DATABASE", "with space.db", Path("with space.db")),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("HOST", "::1", "::1"),
        ("HOST", "sms.example.org", "sms.example.org"),
        ("PORT", "0", 0),
        ("PORT", "65535", 65_535),
        ("API_KEY", "phk_Az0-9.~x", "phk_Az0-9.~x"),
        ("ORIGIN", "+447700900000", "+447700900000"),
        ("ORIGIN", "12345", "12345"),
        ("ORIGIN", "My Shop", "My Shop"),
        ("MAX_BODY", "160", 160),
        ("MAX_BODY", "1600", 1_600),
        ("GATEWAY", "stub", "stub"),
        ("WORKERS", "1", 1),
        ("WORKERS", "64", 64),
        ("THREADS", "1", 1),
        ("THREADS", "256", 256),
        ("WAITING", "1", 1),
        ("WAITING", "1000", 1_000),
        ("VALIDITY", "1", timedelta(seconds=1)),
        ("VALIDITY", "2592000", timedelta(days=30)),
        ("LEASE", "1", timedelta(seconds=1)),
        ("LEASE", "3600", timedelta(hours=1)),
        ("GRACE", "1", 1),
        ("GRACE", "600", 600),
        ("ACCESS_LOG", "on", True),
        ("ACCESS_LOG", "off", False),
        ("LOG_LEVEL", "DEBUG", "DEBUG"),
        ("LOG_LEVEL", "ERROR", "ERROR"),
    ],
)
def test_a_right_value_is_read_as_its_type(name, text, value):
    assert getattr(read_settings({f"PHONIFY_{name}": text}), name.lower()) == value


WHOLE = "must be a whole number from"
SENDER = (
    "must be a short code of 3 to 8 digits, a name, or an E.164 number with the plus sign."
    " A name has up to 11 printable characters of the GSM 7-bit alphabet. At least one character is a letter"
)
HOST = "must be a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::1"


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("DATABASE", "", "must be the path of a file"),
        ("DATABASE", ":memory:", "must be the path of a file"),
        ("DATABASE", "file:sms.db?mode=memory", "must be the path of a file"),
        ("DATABASE", "a\0b", "must be the path of a file"),
        ("HOST", "", HOST),
        ("HOST", "http://localhost", HOST),
        ("HOST", "two hosts", HOST),
        ("PORT", "", f"{WHOLE} 0 to 65535"),
        ("PORT", "http", f"{WHOLE} 0 to 65535"),
        ("PORT", "-1", f"{WHOLE} 0 to 65535"),
        ("PORT", "65536", f"{WHOLE} 0 to 65535"),
        ("PORT", "8000.0", f"{WHOLE} 0 to 65535"),
        ("PORT", " 8000", f"{WHOLE} 0 to 65535"),
        ("PORT", "\uff18000", f"{WHOLE} 0 to 65535"),
        ("PORT", "9" * 5_000, f"{WHOLE} 0 to 65535"),
        ("ORIGIN", "", SENDER),
        ("ORIGIN", "447700900000", SENDER),
        ("ORIGIN", "+999123", SENDER),
        ("ORIGIN", "A name too long", SENDER),
        ("ORIGIN", "12", SENDER),
        ("MAX_BODY", "159", f"{WHOLE} 160 to 1600"),
        ("MAX_BODY", "1601", f"{WHOLE} 160 to 1600"),
        ("MAX_BODY", "long", f"{WHOLE} 160 to 1600"),
        ("GATEWAY", "pigeon", f"must be {' or '.join(GATEWAYS)}"),
        ("GATEWAY", "Stub", f"must be {' or '.join(GATEWAYS)}"),
        ("WORKERS", "0", f"{WHOLE} 1 to 64"),
        ("WORKERS", "65", f"{WHOLE} 1 to 64"),
        ("THREADS", "0", f"{WHOLE} 1 to 256"),
        ("THREADS", "257", f"{WHOLE} 1 to 256"),
        ("WAITING", "0", f"{WHOLE} 1 to 1000"),
        ("WAITING", "1001", f"{WHOLE} 1 to 1000"),
        ("VALIDITY", "0", f"{WHOLE} 1 to 2592000 (seconds)"),
        ("VALIDITY", "2592001", f"{WHOLE} 1 to 2592000 (seconds)"),
        ("VALIDITY", "1 day", f"{WHOLE} 1 to 2592000 (seconds)"),
        ("LEASE", "0", f"{WHOLE} 1 to 3600 (seconds)"),
        ("LEASE", "3601", f"{WHOLE} 1 to 3600 (seconds)"),
        ("GRACE", "0", f"{WHOLE} 1 to 600"),
        ("GRACE", "601", f"{WHOLE} 1 to 600"),
        ("ACCESS_LOG", "yes", "must be on or off"),
        ("ACCESS_LOG", "", "must be on or off"),
        ("LOG_LEVEL", "LOUD", "must be DEBUG or INFO or WARNING or ERROR"),
        ("LOG_LEVEL", "info", "must be DEBUG or INFO or WARNING or ERROR"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name, text, right):
    with pytest.raises(ConfigError) as raised:
        read_settings({f"PHONIFY_{name}": text})
    assert raised.value.message == f"these settings can't be used:\n  PHONIFY_{name}: {text!r} {right}"


@pytest.mark.parametrize("key", ["", "secret key", "secret:key", "secrét", "secret\nkey", "secret/key"])
def test_a_wrong_key_is_named_without_the_key(key):
    with pytest.raises(ConfigError) as raised:
        read_settings({"PHONIFY_API_KEY": key})
    assert raised.value.message == (
        "these settings can't be used:\n"
        "  PHONIFY_API_KEY: must consist of A-Z a-z 0-9 _ . ~ - (recommended: at least 22 random characters)"
    )


def test_a_right_key_is_not_in_the_message_about_other_settings():
    with pytest.raises(ConfigError) as raised:
        read_settings({"PHONIFY_API_KEY": "secret-key", "PHONIFY_PORT": "no"})
    assert "secret-key" not in raised.value.message


def test_all_faults_are_told_together_in_the_order_of_the_settings():
    names = (
        "LOG_LEVEL", "ACCESS_LOG", "GRACE", "LEASE", "VALIDITY", "WAITING", "THREADS",
        "WORKERS", "GATEWAY", "ORIGIN", "API_KEY", "PORT", "HOST", "DATABASE",
    )  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        read_settings({f"PHONIFY_{name}": "" for name in names})
    lines = raised.value.message.splitlines()
    assert lines[0] == "these settings can't be used:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"PHONIFY_{name}" for name in reversed(names)]


def test_the_exit_status_of_a_fault_is_two():
    with pytest.raises(ConfigError) as raised:
        read_settings({"PHONIFY_PORT": "no"})
    assert raised.value.exit_code == 2


def test_a_number_in_a_text_setting_stays_text():
    assert read_settings({"PHONIFY_ORIGIN": "12345"}).origin == "12345"
    assert read_settings({"PHONIFY_API_KEY": "12345"}).api_key == "12345"


def test_variables_without_the_prefix_are_nobody_s():
    assert read_settings({"PORT": "1", "DATABASE": "x", "MY_PHONIFY_PORT": "2"}) == Settings()


def test_a_config_wins_over_the_environment():
    settings = read_settings({"PHONIFY_PORT": "1000", "PHONIFY_HOST": "::1"}, {"PORT": "2000"})
    assert (settings.port, settings.host) == (2000, "::1")


def test_a_config_may_have_the_types_of_the_settings():
    given = {"PORT": 0, "DATABASE": Path("x.db"), "LEASE": timedelta(minutes=5), "ACCESS_LOG": False}
    settings = read_settings({}, given)
    assert (settings.port, settings.database, settings.lease, settings.access_log) == (
        0,
        Path("x.db"),
        timedelta(minutes=5),
        False,
    )


def test_a_config_is_checked_as_the_environment_is():
    with pytest.raises(ConfigError):
        read_settings({}, {"PORT": "no"})


def test_mistyped_variables_are_found():
    environ = {"PHONIFY_PROT": "1", "PHONIFY_PORT": "1", "phonify_port": "1", "HOME": "/", "PHONIFY_": "1"}
    assert unknown_settings(environ) == ["PHONIFY_", "PHONIFY_PROT"]


def test_a_fault_is_told_together_with_mistyped_variables():
    with pytest.raises(ConfigError) as caught:
        read_settings({"PHONIFY_GATEWAY": "twilio", "PHONIFY_TWILIO_GATEWAY_TOKEN": "x"})
    assert "PHONIFY_TWILIO_GATEWAY_AUTH_TOKEN: is missing" in str(caught.value)
    assert "PHONIFY_TWILIO_GATEWAY_TOKEN: is not a setting, and is ignored" in str(caught.value)


def test_the_url_for_tests_and_the_key_of_the_guides_are_no_settings_and_not_warned_of():
    assert unknown_settings({"PHONIFY_URL": "http://127.0.0.1:8000", "PHONIFY_KEY": "phk_x"}) == []
    assert read_settings({"PHONIFY_URL": "nonsense"}) == Settings()


def test_a_mistyped_variable_is_warned_of_and_ignored(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PHONIFY_PROT", "secret-value")
    create_app({"DATABASE": tmp_path / "phonify.db"})
    assert [record.getMessage() for record in caplog.records] == [
        "PHONIFY_PROT is not a setting of Phonify and is ignored"
    ]


def test_an_app_reads_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PHONIFY_DATABASE", str(tmp_path / "sms.db"))
    monkeypatch.setenv("PHONIFY_ORIGIN", "12345")
    settings = create_app().extensions["phonify"].settings
    assert (settings.database, settings.origin) == (tmp_path / "sms.db", "12345")


def test_building_an_app_creates_no_database(tmp_path):
    create_app({"DATABASE": tmp_path / "sms.db"})
    assert list(tmp_path.iterdir()) == []


# A database that can't be used


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 1_000)
    with pytest.raises(ConfigError) as raised:
        create_app({"DATABASE": path})
    assert raised.value.message == f"the database can't be used: {path}: file is not a database"


def test_a_folder_that_is_missing_is_told_in_one_line(tmp_path):
    with pytest.raises(ConfigError) as raised:
        create_app({"DATABASE": tmp_path / "missing" / "phonify.db"})
    assert raised.value.message == (
        f"the database can't be used: {tmp_path}/missing/phonify.db: No such file or directory"
    )


def test_a_key_of_another_account_is_told_without_the_key(make_app):
    app = make_app(API_KEY="first-key")
    app.test_cli_runner().invoke(args=["accounts", "create", "other"])
    key = app.test_cli_runner().invoke(args=["keys", "create", "--account", "other"]).stdout.strip()
    with pytest.raises(ConfigError) as raised:
        make_app(API_KEY=key)
    assert raised.value.message == "PHONIFY_API_KEY: the key belongs to another account, not to default"
