"""Tests of the requests for rules: the list and its order, wrong arguments, scenarios, the pages and the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from tests.support.app import faults_of, sign_in
from tests.support.fake_gateway import FakeGateway

PHONE = "+14560000000"
NO_ID = "019c1353-98c0-7000-8000-5c0ffee00009"
OFF = {"outcome": "failed", "error": "unreachable_handset"}
HERE = {"Sec-Fetch-Site": "same-origin"}
Names = Callable[[], list[str]]


@pytest.fixture
def names(client: FlaskClient) -> Names:
    """Return a function that returns the names of the rules in their order. It checks the positions."""

    def read() -> list[str]:
        rules = client.get("/sandbox/rules").get_json()["rules"]
        assert [rule["position"] for rule in rules] == [*range(1, len(rules) + 1)]
        return [rule["name"] for rule in rules]

    return read


def create(client: FlaskClient, name: str, **arguments: Any) -> str:
    response = client.post("/sandbox/rules", json={"name": name, "outcome": "sent", **arguments})
    assert response.status_code == 201
    return str(response.get_json()["rule"]["id"])


# The list


def test_a_rule_is_at_the_end_or_at_its_position(client: FlaskClient, names: Names) -> None:
    for name, position in (("a", None), ("b", None), ("c", 1), ("d", 2), ("e", 100)):
        create(client, name, **({"position": position} if position else {}))
    assert names() == ["c", "d", "a", "b", "e"]


def test_a_rule_is_moved_changed_and_deleted(client: FlaskClient, names: Names) -> None:
    ids = {name: create(client, name) for name in "abc"}
    assert client.post(f"/sandbox/rules/{ids['c']}/move", json={"position": 1}).get_json()["rule"]["position"] == 1
    changed = client.put(f"/sandbox/rules/{ids['a']}", json={"name": "A", **OFF, "nth": 2}).get_json()["rule"]
    assert changed == {"id": ids["a"], "position": 2, "name": "A", "direction": "outbound", "nth": 2, **OFF} | {
        "seen": 0,
        "used": 0,
    }
    assert names() == ["c", "A", "b"]
    assert client.open(f"/sandbox/rules/{ids['c']}", method="DESTROY").get_json()["rule"]["name"] == "c"
    assert names() == ["A", "b"]
    assert client.delete("/sandbox/rules").get_json() == {"rules": []}
    assert names() == []


def test_a_changed_rule_counts_from_0_and_a_moved_one_does_not(client: FlaskClient, send: Callable[..., Any]) -> None:
    id_ = create(client, "a")
    send()
    create(client, "b")
    assert client.post(f"/sandbox/rules/{id_}/move", json={"position": 2}).get_json()["rule"]["seen"] == 1
    assert client.put(f"/sandbox/rules/{id_}", json=OFF).get_json()["rule"]["seen"] == 0


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("put", ""), ("delete", ""), ("post", "/move")])
def test_a_rule_that_does_not_exist_is_404(client: FlaskClient, method: str, path: str) -> None:
    for id_ in (NO_ID, "nothing", "+15005550004"):
        arguments = {"position": 1} if path else OFF
        assert getattr(client, method)(f"/sandbox/rules/{id_}{path}", json=arguments).status_code == 404


def test_an_account_has_at_most_100_rules(client: FlaskClient, names: Names) -> None:
    for number in range(100):
        create(client, str(number))
    refused = client.post("/sandbox/rules", json=OFF)
    assert (refused.status_code, faults_of(refused)) == (402, [("too_many_rules", None)])
    scenario = '[[rules]]\noutcome = "sent"\n' * 101
    refused = client.put("/sandbox/rules", json={"scenario": scenario})
    assert (refused.status_code, faults_of(refused)) == (402, [("too_many_rules", None)])
    assert len(names()) == 100


@pytest.mark.parametrize("kind", ["json", "data", "query_string"])
def test_the_arguments_may_have_any_form(client: FlaskClient, kind: str) -> None:
    arguments = {"to": "+49*", "share": "12.5", "seed": "7", "outcome": "unavailable", "times": "3", "uses": "9"}
    response = client.post("/sandbox/rules", **{kind: arguments})
    rule = response.get_json()["rule"]
    assert {name: rule[name] for name in arguments} == arguments | {"share": 12.5, "seed": 7, "times": 3, "uses": 9}


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({}, [("missing_argument", "outcome")]),
        ({"outcome": "explode"}, [("invalid_outcome", "outcome")]),
        ({"outcome": "failed"}, [("missing_argument", "error")]),
        ({"outcome": "failed", "error": "rate_limited"}, [("invalid_error_type", "error")]),
        ({"outcome": "refused", "error": 7}, [("invalid_error_type", "error")]),
        ({"outcome": "delayed"}, [("missing_argument", "seconds")]),
        ({"outcome": "delayed", "seconds": -1}, [("invalid_seconds", "seconds")]),
        ({"outcome": "delayed", "seconds": 1_000_001}, [("invalid_seconds", "seconds")]),
        ({"outcome": "delayed", "seconds": "1e3"}, [("invalid_seconds", "seconds")]),
        ({"outcome": "api_slow", "seconds": 30.5}, [("invalid_seconds", "seconds")]),
        ({"outcome": "api_error"}, [("missing_argument", "status")]),
        ({"outcome": "api_error", "status": 502}, [("invalid_status", "status")]),
        ({"outcome": "api_error", "status": 404}, [("invalid_status", "status")]),
        ({"outcome": "reply"}, [("missing_argument", "reply")]),
        ({"outcome": "reply", "reply": ""}, [("empty_text", "reply")]),
        ({"outcome": "reply", "reply": "x" * 1_601}, [("text_too_long", "reply")]),
        ({"outcome": "sent", "seconds": 1}, [("argument_without_effect", "seconds")]),
        ({"outcome": "sent", "eror": "x"}, [("unknown_argument", "eror")]),
        ({"outcome": "sent", "direction": "inbound"}, [("invalid_outcome", "outcome")]),
        ({"outcome": "sent", "direction": "sideways"}, [("invalid_direction", "direction")]),
        ({"outcome": "sent", "to": "nobody!"}, [("invalid_match", "to")]),
        ({"outcome": "sent", "to": "SHOP"}, [("invalid_match", "to")]),
        ({"outcome": "sent", "to": "*"}, [("invalid_match", "to")]),
        ({"outcome": "sent", "to": [PHONE, PHONE]}, [("repeated_argument", "to")]),
        ({"outcome": "sent", "origin": "+1"}, [("invalid_match", "origin")]),
        ({"outcome": "sent", "contains": "\0"}, [("invalid_text", "contains")]),
        ({"outcome": "sent", "pattern": ""}, [("empty_text", "pattern")]),
        ({"outcome": "sent", "nth": 0}, [("invalid_count", "nth")]),
        ({"outcome": "sent", "nth": 1.5}, [("invalid_count", "nth")]),
        ({"outcome": "sent", "uses": True}, [("invalid_count", "uses")]),
        ({"outcome": "sent", "ttl": 10**9}, [("invalid_count", "ttl")]),
        ({"outcome": "sent", "position": 0}, [("invalid_count", "position")]),
        ({"outcome": "sent", "share": 0}, [("invalid_share", "share")]),
        ({"outcome": "sent", "share": 100.1}, [("invalid_share", "share")]),
        ({"outcome": "sent", "seed": 2**31}, [("invalid_seed", "seed")]),
        ({"outcome": "sent", "name": ""}, [("invalid_name", "name")]),
        ({"outcome": "sent", "to": "x!", "nth": 0}, [("invalid_match", "to"), ("invalid_count", "nth")]),
    ],
)
def test_wrong_arguments_are_told_together_and_nothing_is_stored(
    client: FlaskClient, names: Names, arguments: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    id_ = create(client, "a")
    for response in (
        client.post("/sandbox/rules", json=arguments),
        client.put(f"/sandbox/rules/{id_}", json=arguments),
    ):
        assert (response.status_code, sorted(faults_of(response))) == (400, sorted(faults))
    assert names() == ["a"]


# Scenarios


def test_a_scenario_replaces_the_list(client: FlaskClient, names: Names) -> None:
    create(client, "former")
    scenario = '[[rules]]\nname = "a"\noutcome = "sent"\n[[rules]]\nname = "b"\noutcome = "delayed"\nseconds = 1.5\n'
    loaded = client.put("/sandbox/rules", json={"scenario": scenario})
    assert (loaded.status_code, names()) == (200, ["a", "b"])
    assert client.put("/sandbox/rules", json={"scenario": ""}).get_json() == {"rules": []}


@pytest.mark.parametrize(
    ("scenario", "faults"),
    [
        ("[[rules", [("invalid_scenario", "scenario")]),
        ("rules = 1", [("invalid_scenario", "scenario")]),
        ("rules = [1]", [("invalid_scenario", "scenario")]),
        ('[rules]\noutcome = "sent"', [("invalid_scenario", "scenario")]),
        ("[[rule]]", [("invalid_scenario", "scenario")]),
        ("x = " + "[" * 5_000, [("invalid_scenario", "scenario")]),
        ('[[rules]]\noutcome = "sent"\n[[rules]]\nx = 1', [("missing_argument", "rules[1].outcome")]),
        ('[[rules]]\noutcome = "sent"\nname = 2026-01-31', [("invalid_name", "rules[0].name")]),
        ('[[rules]]\noutcome = "sent"\nseed = {a = 1}', [("invalid_seed", "rules[0].seed")]),
        ('[[rules]]\noutcome = "delayed"\nseconds = nan', [("invalid_seconds", "rules[0].seconds")]),
        ('[[rules]]\noutcome = "delayed"\nseconds = inf', [("invalid_seconds", "rules[0].seconds")]),
        (f'[[rules]]\noutcome = "sent"\nseed = {"9" * 5_000}', [("invalid_scenario", "scenario")]),
    ],
)
def test_a_wrong_scenario_changes_nothing(
    client: FlaskClient, names: Names, scenario: str, faults: list[tuple[str, str]]
) -> None:
    create(client, "former")
    response = client.put("/sandbox/rules", json={"scenario": scenario})
    assert response.status_code == 400
    assert set(faults) <= set(faults_of(response))
    assert names() == ["former"]


# Pages


@pytest.fixture
def page(app: Flask, client: FlaskClient) -> FlaskClient:
    browser = app.test_client()
    browser.key = None
    sign_in(browser, client.key or "")
    return browser


def test_a_page_creates_changes_moves_and_deletes_rules(page: FlaskClient, client: FlaskClient, names: Names) -> None:
    form = {"name": "a", "to": "+1 (456) 000-0000", "outcome": "failed", "error": "unreachable_handset", "nth": ""}
    assert page.post("/inbox/rules", data=form, headers=HERE).status_code == 303
    (rule,) = client.get("/sandbox/rules").get_json()["rules"]
    assert (rule["to"], rule["error"]) == (PHONE, "unreachable_handset")
    create(client, "b", ttl=3_600)
    assert names() == ["a", "b"]
    page.post(f"/inbox/rules/{rule['id']}/move", data={"position": "2"}, headers=HERE)
    assert names() == ["b", "a"]
    shown = page.get(f"/inbox/rules/{client.get('/sandbox/rules').get_json()['rules'][0]['id']}").text
    assert 'value="3600"' in shown
    page.post(f"/inbox/rules/{rule['id']}", data={**form, "name": "c"}, headers=HERE)
    assert names() == ["b", "c"]
    page.post(f"/inbox/rules/{rule['id']}/delete", headers=HERE)
    assert names() == ["b"]
    page.post("/inbox/rules/scenario", data={"scenario": '[[rules]]\r\nname = "d"\r\noutcome = "sent"'}, headers=HERE)
    assert names() == ["d"]


def test_a_page_says_what_is_wrong(page: FlaskClient, client: FlaskClient) -> None:
    id_ = create(client, "<b>")
    for path in ("/inbox/rules", f"/inbox/rules/{id_}"):
        refused = page.post(path, data={"name": "<i>", "outcome": "delayed"}, headers=HERE)
        assert refused.status_code == 400
        assert "This argument is missing" in refused.text
        assert "&lt;i&gt;" in refused.text
        assert "&lt;b&gt;" in refused.text
        assert "<b>" not in refused.text
    refused = page.post("/inbox/rules/scenario", data={"scenario": "[["}, headers=HERE)
    assert (refused.status_code, "Not a valid scenario" in refused.text) == (400, True)


def test_a_page_shows_the_faults_of_a_scenario_at_its_field(page: FlaskClient) -> None:
    text = '[[rules]]\noutcome = "sent"\n[[rules]]\noutcome = "sent"\n"<i>" = "x"\n'
    refused = page.post("/inbox/rules/scenario", data={"scenario": text}, headers=HERE)
    assert refused.status_code == 400
    field, _, faults = refused.text.partition('<ul id="scenario-fault" class="fault" role="alert">')
    assert 'aria-invalid="true" autofocus aria-describedby="scenario-fault"' in field
    assert faults.startswith("<li>rule 2: &lt;i&gt;: A rule has no argument with this name.</li></ul>")


def test_a_page_shows_what_each_error_means(page: FlaskClient, client: FlaskClient) -> None:
    text = page.get("/inbox/rules").text
    assert '<option value="">Choose an error</option>' in text
    assert ">unreachable_handset: The phone is switched off" in text
    message = client.post("/v1/messages", json={"to": "+15005550012", "body": "Hello"}).get_json()["message"]
    text = page.get(f"/inbox/messages/{message['id']}").text
    assert f'<label for="outcome-{message["id"]}">Outcome of this message</label>' in text
    assert ">failed, unreachable_handset: The phone is switched off" in text


def test_a_narrow_page_has_a_link_to_the_rules(page: FlaskClient) -> None:
    assert '<a class="narrow" href="/inbox/rules" aria-current="page">Rules</a>' in page.get("/inbox/rules").text
    assert '<a class="narrow" href="/inbox/rules" >Rules</a>' in page.get("/").text


def test_the_page_exists_only_with_the_stub(make_app: Callable[..., Flask], client: FlaskClient) -> None:
    browser = make_app(FakeGateway()).test_client()
    browser.key = None
    sign_in(browser, client.key or "")
    assert browser.get("/inbox/rules").status_code == 404
    assert "/inbox/rules" not in browser.get("/inbox/settings").text


# Commands


@pytest.fixture
def run(runner: FlaskCliRunner) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        result = runner.invoke(args=["rules", *arguments])
        return result.exit_code, result.output

    return run


def test_the_commands_do_the_same(run: Callable[..., tuple[int, str]], names: Names, tmp_path: Path) -> None:
    assert run("add", "sent", "--name", "a")[0] == 0
    _, shown = run("add", "failed", "--error", "unreachable_handset", "--to", "+49*", "--name", "b", "--json")
    rule = json.loads(shown)
    assert (rule["position"], rule["error"]) == (2, "unreachable_handset")
    assert "failed, unreachable_handset" in run("list")[1]
    assert run("move", "2", "1")[0] == 0
    assert names() == ["b", "a"]
    assert run("change", rule["id"], "delayed", "--seconds", "5", "--name", "c")[0] == 0
    assert names() == ["c", "a"]
    assert run("delete", "1")[0] == 0
    file = tmp_path / "scenario.toml"
    file.write_text('[[rules]]\nname = "d"\noutcome = "sent"\n')
    assert run("load", str(file))[0] == 0
    assert names() == ["d"]
    assert run("delete", "all") == (0, "The account 'default' has no rules.\n")
    assert names() == []


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("add", "failed"), 2, "--error: This argument is missing"),
        (("add", "sent", "--share", "0"), 2, "--share: The share must be"),
        (("add", "sent", "--account", "nobody"), 2, "unknown account 'nobody'"),
        (("change", "7", "sent"), 1, "unknown rule 7; to list the rules, use `rules list`"),
        (("delete", "nothing"), 1, "unknown rule nothing; to list the rules, use `rules list`"),
        (("load", "/nowhere.toml"), 1, "/nowhere.toml: No such file or directory"),
    ],
)
def test_a_command_says_what_is_wrong(
    run: Callable[..., tuple[int, str]], arguments: tuple[str, ...], status: int, text: str
) -> None:
    code, shown = run(*arguments)
    assert code == status
    assert text in shown


def test_a_scenario_file_with_faults_is_told_line_by_line(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text('[[rules]]\noutcome = "delayed"\n[[rules]]\noutcome = "sent"\nto = "x!"\n[[rules]]\nerorr = "a"\n')
    code, shown = run("load", str(file))
    assert code == 1
    assert f"{file}: rule 1: seconds: This argument is missing." in shown
    assert f"{file}: rule 2: to: Use a number or a sender." in shown
    assert f"{file}: rule 3: erorr: A rule has no argument with this name." in shown


def test_with_another_gateway_a_command_refuses(make_app: Callable[..., Flask]) -> None:
    runner = make_app(FakeGateway()).test_cli_runner()
    for arguments in (["list"], ["add", "sent"], ["delete", "all"]):
        result = runner.invoke(args=["rules", *arguments])
        assert (result.exit_code, result.output) == (
            1,
            "Error: rules need PHONIFY_GATEWAY=stub; the current gateway is gateway\n",
        )
