"""Tests of the plugin in separate suites: one server in each process, one account for each test, clear failures."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.app import KEY
from tests.support.servers import Process, find_free_port

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
# Send a message as an app does, with an address and a key.
SEND = """
    import os
    import urllib.parse
    import urllib.request
    from pathlib import Path

    ALICE = "+14560000001"

    def send(phonify, body, to=ALICE):
        data = urllib.parse.urlencode({"api_key": phonify.api_key, "to": to, "body": body}).encode()
        urllib.request.urlopen(f"{phonify.url}/v1/messages", data).close()
"""
# Each of the two tests waits until it has seen that the other one runs in another process.
TWO_AT_ONCE = """
    import time

    import pytest

    @pytest.mark.parametrize("number", [1, 2])
    def test_at_once(phonify, number):
        here = Path(__file__).parent
        (here / f"{number}.partial").write_text(f"{os.getpid()} {phonify.url}")
        (here / f"{number}.partial").rename(here / f"{number}.seen")
        deadline = time.monotonic() + 20
        while len(found := list(here.glob("*.seen"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len({process for one in found for process in one.read_text().split()}) == 4
        send(phonify, f"Your code is 482{number}")
        assert phonify.code(to=ALICE, timeout=20) == f"482{number}"
        assert len(phonify.messages()) == 1
"""


@pytest.fixture
def run_suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Return a function that runs tests with the plugin in a separate process. Warnings are errors."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*tests: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
        pytester.makepyfile(SEND + "".join(tests))
        return pytester.runpytest_subprocess("-p", "phonify.testing.pytest_plugin", "-W", "error", *arguments)

    return run


@pytest.mark.slow
def test_each_test_has_an_account_of_its_own_on_one_server(run_suite) -> None:
    result = run_suite("""
    seen = []

    def check(phonify):
        assert phonify.messages() == []
        send(phonify, "Hello")
        assert phonify.wait_for(to=ALICE, state="sent", timeout=20).body == "Hello"
        seen.append(phonify)

    def test_first(phonify):
        check(phonify)

    def test_second(phonify):
        check(phonify)
        assert seen[0].url == seen[1].url
        assert seen[0].api_key != seen[1].api_key
    """)
    result.assert_outcomes(passed=2)
    result.stderr.no_fnmatch_line("*")


@pytest.mark.slow
def test_a_failing_wait_shows_the_line_of_the_test_and_what_did_come(run_suite) -> None:
    result = run_suite("""
    def test_it(phonify):
        send(phonify, "Welcome")
        phonify.wait_for(to=ALICE, state="sent", timeout=20)
        phonify.wait_for(to=ALICE, contains="code", timeout=0.02)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>       phonify.wait_for(to=ALICE, contains="code", timeout=0.02)',
            "E       AssertionError: no outbound message to +14560000001 with 'code' arrived within 0.02 s. *",
            "E         <Message * +15005550006 > +14560000001 sent 'Welcome'> closest, but without 'code'*",
        ]
    )
    result.stdout.no_fnmatch_line("*phonify/testing*")


@pytest.mark.slow
def test_a_failing_wait_in_an_async_test_shows_the_line_of_the_test(run_suite) -> None:
    result = run_suite("""
    import asyncio

    def test_it(phonify):
        async def sign_up():
            await phonify.code_async(to=ALICE, timeout=0.02)

        asyncio.run(sign_up())
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*await phonify.code_async(to=ALICE, timeout=0.02)",
            "E       AssertionError: no outbound message to +14560000001 with a one-time code arrived within 0.02 s. *",
        ]
    )
    result.stdout.no_fnmatch_line("*phonify/testing*")
    result.stdout.no_fnmatch_line("*asyncio/threads.py*")


@pytest.mark.slow
def test_the_app_under_test_may_log_and_be_logged_as_without_phonify(run_suite) -> None:
    result = run_suite("""
    def test_it(phonify, caplog, capfd):
        caplog.set_level("DEBUG")
        send(phonify, "Hello", to="+15005550004")
        phonify.wait_for(state="error", timeout=20)
        assert not caplog.records
        assert capfd.readouterr() == ("", "")
    """)
    result.assert_outcomes(passed=1)


@pytest.mark.slow
def test_with_xdist_each_process_has_a_server_of_its_own(run_suite) -> None:
    run_suite(TWO_AT_ONCE, arguments=("-n", "2")).assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_example_of_the_readme_passes(pytester, monkeypatch) -> None:
    readme = ROOT.joinpath("README.md").read_text(encoding="utf-8")
    pytester.makepyfile(readme.split("<!-- test suite -->\n```python\n", 1)[1].split("```", 1)[0])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.runpytest_subprocess("-p", "phonify.testing.pytest_plugin").assert_outcomes(passed=1)


@pytest.mark.slow
def test_the_example_of_one_message_in_the_guide_passes(pytester, run_suite) -> None:
    guide = ROOT.joinpath("phonify/docs/rules.md").read_text(encoding="utf-8")
    pytester.makeconftest("""
        from types import SimpleNamespace

        import pytest

        @pytest.fixture
        def app(phonify):
            from test_the_example_of_one_message_in_the_guide_passes import send

            return SimpleNamespace(remind=lambda to: send(phonify, "See you at nine", to))
    """)
    example = guide.split("<!-- one message -->\n```python\n", 1)[1].split("```", 1)[0]
    run_suite(textwrap.indent(example, "    ")).assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_suite_that_does_not_use_the_fixture_imports_no_flask(pytester, monkeypatch) -> None:
    pytester.makepyfile("""
    import sys

    def test_it():
        assert "phonify.testing.pytest_plugin" in sys.modules
        assert not {"flask", "marshmallow", "phonify.outgoing"} & set(sys.modules)
    """)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.runpytest_subprocess("-p", "phonify.testing.pytest_plugin").assert_outcomes(passed=1)


@pytest.fixture
def elsewhere(start, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A server in a separate process. The environment has its URL and key."""
    server = start(WORKERS="1")
    monkeypatch.setenv("PHONIFY_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("PHONIFY_API_KEY", KEY)
    return server


@pytest.mark.slow
def test_with_a_server_elsewhere_each_test_gets_a_run_of_its_own_that_is_ended(run_suite, elsewhere) -> None:
    result = run_suite("""
    import sys

    import pytest

    seen = []

    @pytest.mark.parametrize("body", ["first", "second" * 20])
    def test_it(phonify, body):
        assert phonify.url == os.environ["PHONIFY_URL"]
        assert phonify.api_key not in (os.environ["PHONIFY_API_KEY"], *seen)
        assert phonify.messages() == []
        send(phonify, body)
        assert phonify.wait_for(to=ALICE, state="sent", timeout=20).body == body
        seen.append(phonify.api_key)

    def test_what_is_imported(phonify_server):
        shared = phonify_server.create_account("app")
        send(shared, "Your code is 4821")
        assert shared.code() == "4821"
        assert not {"flask", "werkzeug", "marshmallow", "phonify.outgoing", "phonify.factory"} & set(sys.modules)
    """)
    result.assert_outcomes(passed=3)
    assert elsewhere.call("GET", "/sandbox/runs") == (200, {"runs": []})
    assert elsewhere.call("GET", "/v1/messages") == (200, {"messages": []})


@pytest.mark.slow
def test_with_a_server_elsewhere_a_failing_wait_is_shown_as_with_the_own_one(run_suite, elsewhere) -> None:
    result = run_suite("""
    def test_it(phonify):
        phonify.code(to=ALICE, timeout=0.02)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E       AssertionError: no outbound message to +14560000001 with a one-time code arrived within 0.02 s. *"]
    )
    result.stdout.no_fnmatch_line("*phonify/testing*")


@pytest.mark.slow
def test_tests_at_the_same_time_share_a_server_elsewhere(run_suite, elsewhere) -> None:
    result = run_suite(
        TWO_AT_ONCE.replace("== 4", "== 3"),  # two processes and one URL
        arguments=("-n", "2"),
    )
    result.assert_outcomes(passed=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "key", "line"),
    [
        ("http://127.0.0.1:{port}", None, "Set PHONIFY_API_KEY to a key of the server at PHONIFY_URL"),
        ("http://127.0.0.1:{port}", "", "Set PHONIFY_API_KEY to a key of the server at PHONIFY_URL"),
        (
            "http://127.0.0.1:{port}",
            "wrong",
            "no valid answer from http://127.0.0.1:{port}: is Phonify running there?*",
        ),
        ("localhost", "key", "'localhost' is not the URL of a server. Use for example http://127.0.0.1:8000"),
    ],
)
def test_a_server_elsewhere_that_can_not_be_used_is_told_in_one_line(run_suite, monkeypatch, url, key, line) -> None:
    port = find_free_port()
    monkeypatch.setenv("PHONIFY_URL", url.format(port=port))
    if key is not None:
        monkeypatch.setenv("PHONIFY_API_KEY", key)
    result = run_suite("""
    def test_it(phonify):
        pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([line.format(port=port)])
    result.stdout.no_fnmatch_line("*During handling*")
    result.stdout.no_fnmatch_line("*phonify/testing*")


@pytest.mark.slow
def test_a_key_that_a_server_elsewhere_does_not_know_is_told_in_one_line(run_suite, elsewhere, monkeypatch) -> None:
    monkeypatch.setenv("PHONIFY_API_KEY", "wrong")
    result = run_suite("""
    def test_it(phonify):
        pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"the API key is not valid at http://127.0.0.1:{elsewhere.port}"])


@pytest.mark.slow
def test_what_a_test_replaces_in_the_module_time_stops_neither_the_server_nor_the_client(run_suite) -> None:
    result = run_suite("""
    import threading
    import time
    from unittest import mock

    def test_it(phonify):
        sending = threading.Timer(0.3, send, (phonify, "Your code is 4829"))
        sending.start()
        with mock.patch("time.sleep", side_effect=AssertionError), mock.patch("time.monotonic", return_value=0.0):
            assert phonify.wait_for(to=ALICE, state="sent", timeout=20).code == "4829"
    """)
    result.assert_outcomes(passed=1)
