"""Flask without what the app does not use: what is left does what Flask does."""

import json

import pytest
from flask import Blueprint, Flask, Response, request, session, url_for
from werkzeug.test import EnvironBuilder, run_wsgi_app

from phonify.lean import LeanFlask


@pytest.fixture
def app() -> Flask:
    app = LeanFlask(__name__)

    @app.route("/things/<name>", methods=["GET", "POST"])
    def show(name: str) -> dict[str, str]:
        return {"name": name, "here": url_for("show", name=name)}

    return app


@pytest.mark.parametrize("name", ["plain", "Zürich", "%", "a b", "\N{GRINNING FACE}", "a?b#c"])
def test_a_path_is_read_as_it_was_meant_and_written_likewise(app, name):
    with app.test_request_context():
        path = url_for("show", name=name)
    assert path.isascii()
    answer = app.test_client().get(path).json
    assert (answer["name"], answer["here"]) == (name, path)


def test_bytes_that_are_no_utf_8_are_replaced(app):
    assert app.test_client().get("/things/%ff").json["name"] == "\ufffd"


def test_addresses_begin_where_the_app_is_mounted(app):
    answer = app.test_client().get("/things/a", base_url="https://sms.example:8443/phonify").json
    assert answer["here"] == "/phonify/things/a"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/things/a", 200),
        ("HEAD", "/things/a", 200),
        ("POST", "/things/a", 200),
        ("PUT", "/things/a", 405),
        ("GET", "/things/a/", 200),
        ("GET", "//things/a", 200),
        ("GET", "/nothing", 404),
        ("GET", "", 404),
    ],
)
def test_requests_are_routed_by_path_and_method_and_never_redirected(app, method, path, status):
    environ = EnvironBuilder(method=method).get_environ()
    environ["PATH_INFO"] = path
    _, answered, _ = run_wsgi_app(app, environ)
    assert answered.split()[0] == str(status)


@pytest.mark.parametrize("host", ["", "\xff", "a" * 300, "[", "-", "x:y:z"])
def test_the_host_does_not_matter(app, host):
    assert app.test_client().get("/things/a", headers={"Host": host}).status_code == 200


def test_a_websocket_that_is_asked_for_is_answered_as_the_request_that_it_is(app):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert app.test_client().get("/things/a", headers=headers).status_code == 200


def test_the_answer_to_head_has_the_headers_alone(app):
    whole, head = (app.test_client().open("/things/a", method=method) for method in ("GET", "HEAD"))
    assert head.data == b""
    assert head.headers == whole.headers


def test_a_mount_that_is_not_ascii_is_read_likewise(app):
    environ = EnvironBuilder(path="/things/a", base_url="http://x/f\xf6o").get_environ()
    chunks, _, _ = run_wsgi_app(app, environ)
    assert json.loads(b"".join(chunks))["here"] == "/f\xf6o/things/a"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_by_its_status_is_sent_without(app, status):
    app.add_url_rule("/", view_func=lambda: ("text", status))
    chunks, _, _ = run_wsgi_app(app, EnvironBuilder().get_environ())
    assert b"".join(chunks) == b""


@pytest.mark.parametrize("make", [lambda: Response("text"), lambda: Response(part for part in ("te", "xt"))])
def test_what_is_to_be_done_at_the_end_of_an_answer_is_done(app, make):
    done = []

    @app.get("/")
    def finish() -> Response:
        response = app.response_class(make().response)
        response.call_on_close(lambda: done.append(response.status_code))
        return response

    environ = EnvironBuilder().get_environ()
    chunks, status, _ = run_wsgi_app(app, environ)
    assert (b"".join(chunks), status) == (b"text", "200 OK")
    chunks.close()
    assert done == [200]


def test_there_are_no_sessions(app):
    app.secret_key = "secret"

    @app.get("/")
    def write() -> str:
        session["name"] = "value"
        return ""

    app.testing = True
    with pytest.raises(RuntimeError, match="session is unavailable"):
        app.test_client().get("/")
    assert "Set-Cookie" not in app.test_client().get("/things/a").headers


def test_the_hooks_of_the_blueprints_of_a_view_are_called(app):
    parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
    called = []
    for blueprint in (parent, child):
        blueprint.before_request(lambda name=blueprint.name: called.append((name, request.blueprints)))
    child.add_url_rule("/inner", view_func=lambda: "")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    app.test_client().get("/inner")
    blueprints = ["parent.child", "parent"]
    assert called == [("parent", blueprints), ("child", blueprints)]
    app.test_client().get("/nothing")
    assert len(called) == 2
