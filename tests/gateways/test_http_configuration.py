"""Tests of the variables of the gateway `http`: what they mean, and which faults are reported."""

import re
import shlex
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from phonify.gateways.http import TemplateGateway
from phonify.gateways.http.answers import Finder, compile_pattern, parse_rules
from phonify.gateways.http.presets import PRESETS
from phonify.gateways.http.template import PLACEHOLDERS, Form, Headers, Json
from phonify.outgoing.http_client import Answer
from tests.gateways.contract import make_message
from tests.support.app import ROOT
from tests.support.guides import read_block
from tests.support.http_providers import CALLBACK_SECRET, PASSWORD, TAKEN, make_variables

URL = "http://127.0.0.1:9/send"
FORM = {"BODY": "to={to}&text={text}", "TAKEN": "200"}


def list_faults(url: str = URL, **variables: str) -> list[str]:
    """Return the faults of variables, without their common prefix."""
    with pytest.raises(ValueError) as caught:
        TemplateGateway.from_environ(make_variables(url, **variables))
    return [fault.removeprefix("PHONIFY_HTTP_") for fault in str(caught.value).splitlines()]


# Presets


@pytest.mark.parametrize("name", ["kannel", "jasmin"])
@pytest.mark.parametrize("body", ["Hello", "x" * 161, "😀" * 100])
def test_a_preset_can_be_written_as_variables(name: str, body: str) -> None:
    written = {field.upper(): value for field, value in asdict(PRESETS[name]).items()}
    preset = TemplateGateway.from_environ(make_variables(URL, PRESET=name))
    custom = TemplateGateway.from_environ(make_variables(URL, PRESET="custom", **written))
    message = make_message(TAKEN, body=body)
    assert custom.build_request(message) == preset.build_request(message)
    for code in range(200, 600):
        answer = Answer(code, "0: Missing receiver, Not routable")
        assert custom.judge(message, answer) == preset.judge(message, answer)


def test_a_variable_replaces_what_the_preset_says() -> None:
    gateway = TemplateGateway.from_environ(make_variables(URL, PRESET="kannel", QUERY="to={to}&text={text}&a=b"))
    assert gateway.build_request(make_message(TAKEN)).query == "to=%2B14560000000&text=Hello&a=b"


def test_all_variables_are_listed() -> None:
    assert {f"PHONIFY_HTTP_{field.upper()}" for field in asdict(PRESETS["custom"])} < set(TemplateGateway.variables)


def test_secrets_may_be_in_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{PASSWORD}\n")
    gateway = TemplateGateway.from_environ(make_variables(URL, PRESET="kannel", PASSWORD="", PASSWORD_FILE=str(file)))
    assert "password=pass%26word%2B%2541&" in gateway.build_request(make_message(TAKEN)).query


# The guide


@pytest.mark.parametrize("mark", ["kannel variables", "jasmin variables", "custom variables"])
def test_the_variables_in_the_guide_make_a_gateway(mark: str, tmp_path: Path) -> None:
    block = read_block("gateways-http", mark).replace("/etc/phonify", str(tmp_path))
    block = block.replace("CALLBACK-SECRET", CALLBACK_SECRET)
    for name in "provider.key", "callback.secret":
        tmp_path.joinpath(name).write_text(CALLBACK_SECRET)
    words = [word for line in block.splitlines() if line.startswith("export") for word in shlex.split(line)[1:]]
    environ = {name: value for name, _, value in (word.partition("=") for word in words)}
    gateway = TemplateGateway.from_environ(environ)
    assert set(environ) <= {*gateway.variables, "PHONIFY_GATEWAY", "PHONIFY_PUBLIC_URL"}
    assert gateway.build_request(make_message(TAKEN)).url == environ["PHONIFY_HTTP_URL"]


def test_the_guide_lists_all_variables_and_placeholders() -> None:
    text = ROOT.joinpath("phonify/docs/gateways-http.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    variables = [name for row in rows for name in re.findall("`(PHONIFY_HTTP_[A-Z_]+)`", row)]
    variables += [re.findall("`(PHONIFY[A-Z_]+)`", row)[0] + "_FILE" for row in rows if "`_FILE`" in row]
    assert sorted(variables) == sorted(TemplateGateway.variables)
    assert sorted(name for row in rows for name in re.findall(r"`\{(\w+)\}`", row)) == sorted(PLACEHOLDERS)


# Faults


def test_nothing_works_without_an_address_a_template_and_a_rule() -> None:
    assert list_faults(url="", PRESET="custom") == [
        "URL: is missing",
        "QUERY: lacks {to} or {to_digits}",
        "QUERY: lacks {text} or {text_hex}",
        "TAKEN: is missing. Use a rule such as 2xx. If an answer matches, the provider has taken the message.",
    ]


def test_without_a_preset_and_a_template_the_fault_names_the_choices_and_what_each_needs() -> None:
    fault, *others = list_faults(url="")
    assert fault.startswith("PRESET: is missing. Use ")
    assert set(re.findall("[a-z]+", fault)) > set(PRESETS)
    for name in ("URL", "USERNAME", "PASSWORD", "TAKEN", "QUERY", "BODY"):
        assert f"PHONIFY_HTTP_{name}" in fault
    assert others == ["URL: is missing"]


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_file_with_a_password_that_can_not_be_used_is_one_fault(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    (fault,) = list_faults(PRESET="kannel", PASSWORD="", PASSWORD_FILE=str(file))
    assert fault.startswith("PASSWORD_FILE: ")


def test_all_faults_are_told_together() -> None:
    faults = list_faults(
        PRESET="smoke",
        METHOD="FETCH",
        BODY="to={to}&text={texts}",
        HEADERS="Authorization Bearer x",
        TAKEN="2000",
        REFUSED="400 no_such_error",
        LATER="429 /(a+)+/ pause",
        REFERENCE="xml:id",
        CODING="0",
        STATUS="arrived=1",
        RECEIPT="kind=type",
        INBOUND="to=to",
        NUMBER="shop",
        CALLBACK_SECRET="short",
    )
    assert [fault.partition(":")[0] for fault in faults] == [
        *("PRESET", "HEADERS", "BODY", "METHOD", "BODY", "BODY", "LATER", "REFUSED", "TAKEN", "REFERENCE", "RECEIPT"),
        *("INBOUND", "STATUS", "CALLBACK_SECRET", "CODING", "NUMBER"),
    ]


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        (
            {"URL": f"{URL}/{{to}}"},
            "URL: must not contain placeholders; write the placeholders in PHONIFY_HTTP_QUERY",
        ),
        ({"URL": "ftp://x"}, "URL: is not a URL that can be used: it must begin with https:// or http://"),
        ({"METHOD": "GET"}, "BODY: must be empty, because the method is GET"),
        ({"BODY": "to={To}&text={text}"}, "BODY: {To} is not a placeholder"),
        ({"BODY": "to={to}&text={text"}, "BODY: parameter 2 can't be read: use name=value&name=value, percent-encoded"),
        ({"BODY": "<to>{to}</to>"}, "BODY: parameter 1 can't be read: use name=value&name=value, percent-encoded"),
        (
            {"BODY": '{"to": "{to}", "text": {text}}'},
            "BODY: it is not valid JSON: write quotes around each placeholder, except placeholders for numbers",
        ),
        ({"BODY": '{"to": "{to}", "text": "{udh}"}'}, "BODY: {udh} is not allowed in this template"),
        ({"HEADERS": "X-Text: {text}"}, "HEADERS: {text} is not allowed in this template"),
        (
            {"HEADERS": "X-A: {basic}", "PASSWORD": ""},
            "PASSWORD: is missing; set it, or set PHONIFY_HTTP_PASSWORD_FILE to a file that contains it",
        ),
        ({"HEADERS": "X-A: {username}", "USERNAME": ""}, "USERNAME: is missing"),
        (
            {"HEADERS": "X-A: {password}", "PASSWORD": "päss"},
            "PASSWORD: the headers have placeholders, so the user name and the password must be printable ASCII",
        ),
        ({"TAKEN": "200 taken"}, "TAKEN: 'taken' has no meaning here"),
        ({"LATER": "429 wait"}, "LATER: 'wait' must be pause"),
        ({"LATER": "429 /(/"}, "LATER: the pattern '(' is not a regular expression: missing )"),
        ({"REFERENCE": "regex:id"}, "REFERENCE: 'regex:id' must be json:PATH, or regex:PATTERN with one group"),
        ({"PROBE": "/balance?to={to}"}, "PROBE: {to} is not allowed in this template"),
        ({"RECEIPT": "status=type"}, "STATUS: is missing; receipts need both"),
        ({"INBOUND": "from=from to="}, "INBOUND: 'to=' can't be read: use NAME=PARAMETER"),
        ({"INBOUND": "text=text"}, "INBOUND: from=PARAMETER is missing"),
        ({"INBOUND": "from=from"}, "INBOUND: text=PARAMETER or text_hex=PARAMETER is missing"),
        (
            {"INBOUND": "from=from text=text", "CALLBACK_SECRET": ""},
            "CALLBACK_SECRET: is missing; set it, or set PHONIFY_HTTP_CALLBACK_SECRET_FILE to a file that contains it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_fault_says_what_to_change(variables: dict[str, str], fault: str) -> None:
    url = variables.get("URL", URL)
    assert fault in "\n".join(list_faults(**{**FORM, **variables, "url": url}))


def test_no_fault_shows_a_template_that_may_have_a_secret() -> None:
    faults = list_faults(BODY="to={to}&text={text}&key=s3cret value", HEADERS="Authorization s3cret", TAKEN="200")
    assert "s3cret" not in "\n".join(faults)


def test_callbacks_need_a_secret_only_if_there_are_callbacks() -> None:
    TemplateGateway.from_environ(make_variables(URL, **FORM, CALLBACK_SECRET=""))


# Templates


def test_a_form_escapes_each_value_and_leaves_out_what_is_empty() -> None:
    form = Form("a=1&to={to}&text={text}&udh={udh}&dlr={receipt_url}")
    values = {"to": "+1", "text": "a&b=c {to} é\n", "udh": b"\x05\x00\xff", "receipt_url": ""}
    assert form.render(values) == "a=1&to=%2B1&text=a%26b%3Dc%20%7Bto%7D%20%C3%A9%0A&udh=%05%00%FF"


def test_json_escapes_each_value() -> None:
    assert Json('{"text": "{text}"}').render({"text": '"{id}\\\n\u2028'}) == '{"text": "\\"{id}\\\\\\n\\u2028"}'


def test_headers_may_have_equals_signs_and_semicolons() -> None:
    headers = Headers("Content-Type: application/vnd.api+json; charset=utf-8 | X-Key: {password}")
    assert headers.render({"password": "a|b"}) == {
        "Content-Type": "application/vnd.api+json; charset=utf-8",
        "X-Key": "a|b",
    }


# Rules


def test_a_rule_may_have_a_class_of_statuses_a_pattern_with_slashes_and_commas_and_a_word() -> None:
    (rule, other) = parse_rules(r"4xx /a\/b, c/ invalid_number, 500", "invalid_number")
    assert (rule.status, rule.word, other) == ("4xx", "invalid_number", ("500", None, ""))
    assert rule.matches(Answer(422, "xa/b, cx"))
    assert not rule.matches(Answer(422, "a, c"))
    assert not rule.matches(Answer(522, "a/b, c"))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(?:x){2,}", "[(](a)*"])
def test_a_pattern_can_not_repeat_a_group(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeats a group"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"\)+", "[)]*", "(a)?", r"(\w+)"])
def test_a_pattern_may_repeat_everything_else(pattern: str) -> None:
    compile_pattern(pattern)


def test_a_pattern_searches_only_the_beginning_of_an_answer() -> None:
    (rule,) = parse_rules(r"200 /x.*y$/")
    start = time.monotonic()
    assert not rule.matches(Answer(200, "x" * 16_000))
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("place", "text", "found"),
    [
        ("json:id", '{"id": 17}', ("17",)),
        ("json:data.1.id", '{"data": [{}, {"id": "b"}]}', ("b",)),
        ("json:data.*.id", '{"data": [{"id": "a"}, {}, {"id": "b"}, {"id": "a"}]}', ("a", "b")),
        ("json:id", '{"id": true}', ()),
        ("json:id.x", '{"id": "a"}', ()),
        ("json:0.id", '{"id": "a"}', ()),
        ("json:id", "[" * 100_000, ()),
        ("json:id", "1" * 5_000, ()),
        ("json:id", '{"id": ""}', ()),
        ("json:id", '{"id": "a\\nb"}', ()),
        (r"regex:id=(\w+)", "ok id=a id=b", ("a",)),
        (r"regex:id=(\w+)", "none", ()),
    ],
)  # fmt: skip
def test_a_place_finds_ids(place: str, text: str, found: tuple[str, ...]) -> None:
    assert Finder(place).find(text) == found
