"""Tests with ten thousand hostile requests. No answer is a 5xx, and each answer is JSON in the API's form."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonify.errors import ERROR_TYPES
from tests.support.app import KEY, FakeClock, basic, building

pytestmark = pytest.mark.slow


SHARES = {"anything": 1_500, "json": 3_000, "form": 2_000, "multipart": 1_500, "query": 1_500, "headers": 500}


def hostile(share: str) -> Callable[[Any], Any]:
    return settings(max_examples=SHARES[share], derandomize=True, deadline=None, database=None)


class Target:
    """The app, called with any bytes that a WSGI server could pass on. Checks each answer."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.statuses: Counter[int] = Counter()

    def call(
        self,
        method: str,
        path: bytes,
        query: bytes = b"",
        body: bytes = b"",
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "RAW_URI": path.decode("latin-1"),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_AUTHORIZATION": basic(KEY),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **(headers or {}),
        }
        if content_type is not None:
            environ["CONTENT_TYPE"] = content_type
        answered: list[Any] = []
        chunks = self.app(environ, lambda status, given, _=None: answered.append((status, given)))
        data = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        (status, given), code = answered[-1], int(answered[-1][0][:3])
        self.statuses[code] += 1
        assert code < 500, (status, data)
        assert not any(control in value for _, value in given for control in "\r\n\0")
        if dict(given).get("Location") == "/inbox/sign-in" or dict(given)["Content-Type"].startswith("text/html"):
            return code, None  # a page, which has its own tests
        assert code in (200, 201) or code >= 400, status
        assert dict(given)["Content-Type"] == "application/json"
        if method == "HEAD":
            assert data == b""
            return code, None
        answer = json.loads(data)
        # The JSON can be written again: it has no unpaired surrogates and no NaN.
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        if code >= 400:
            check_errors(answer["errors"])
        else:
            assert set(answer) <= {"message", "messages", "phone", "phones", "subscription", "subscriptions", "result"}
            assert answer
        return code, answer


def check_errors(errors: Any) -> None:
    assert isinstance(errors, list)
    assert errors
    for error in errors:
        assert set(error) in ({"type", "title"}, {"type", "title", "param"})
        assert error["type"] in ERROR_TYPES
        assert error["title"]
        assert isinstance(error.get("param", ""), str)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One app for all requests. So the effect of one request may show in a later request."""
    path = tmp_path_factory.mktemp("hostile") / "phonify.db"
    with building({"DATABASE": path, "API_KEY": KEY, "LOG_LEVEL": "ERROR"}, clock=FakeClock()) as app:
        target = Target(app)
        yield target
        print(f"\n{target.statuses.total()} hostile requests, by status: {dict(sorted(target.statuses.items()))}")


def test_the_shares_add_up_to_ten_thousand():
    assert sum(SHARES.values()) == 10_000


# Building blocks. They have no valid `wait`, because that would only take time.

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # with unpaired surrogates and NUL
NAMES = st.sampled_from(
    [
        "to", "to[]", "body", "origin", "send_at", "phone", "state", "direction", "q", "after", "before", "offset",
        "limit", "wait", "api_key", "from", "business", "app", "", "to[0]", "TO", "__class__", "_schema", "id",
    ]
)  # fmt: skip
PATHS = st.sampled_from(
    [
        b"/v1/messages", b"/v1/messages/", b"/v1/messages/019c1363-49c0-7000-8000-000000000001",
        b"/sandbox/inbound", b"/nothing", b"/v1", b"/v1/", b"//v1//messages", b"/v1/messages/../messages",
        b"/v1/phones/+14560000000", b"*", b"",
    ]
)  # fmt: skip
# Mostly addresses that do something.
PLACES = st.sampled_from(
    [("POST", b"/v1/messages")] * 12
    + [("POST", b"/sandbox/inbound")] * 2
    + [
        ("PUT", b"/v1/messages/019c1363-49c0-7000-8000-000000000001"),
        ("DELETE", b"/v1/messages"),
        ("GET", b"/v1/messages"),
    ]
    + [("PUT", b"/v1/messages/\xff"), ("POST", b"/v1/phones"), ("HEAD", b"/v1/messages")]
)
METHODS = st.sampled_from(
    [
        "GET", "POST", "PUT", "DELETE", "DESTROY", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "X",
        "PROPFIND",
    ]
)  # fmt: skip
CONTENT_TYPES = st.sampled_from(
    [
        "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "multipart/form-data", "application/json; charset=utf-16", "application/json; charset=nonsense",
        "text/plain", "text/html", "", ";", "/", "application/merge-patch+json", "application/xml",
        "application/x-www-form-urlencoded; charset=utf-7", "multipart/form-data; boundary=",
        'multipart/form-data; boundary="', "multipart/mixed; boundary=x", "\xff\xfe",
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [
        "+14560000000", "14560000000", "+1", "+", "++14560000000", "+1456000000000000000", "+1456000000\uff10",
        "+999123456", "+14560000000\n", " +14560000000", "+14560000000;ext=5", "tel:+14560000000", "+15005550001",
        "+15005550010", "+8001234567", "+44 20 7946 0018", "SHOP", "\0", "\ud800", "٣٤٥", "+1456000000\u0660",
    ]
)  # fmt: skip
TIMES = st.sampled_from(
    [
        "2026-01-31T09:30:00Z", "2099-01-31T09:30:00+14:00", "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-31T25:00:00Z", "now", "2026-01-31 09:30:00+00:00", "2026-01-31T09:30:60Z",
        "2026-01-31T09:30:00+99:99", "2026-W05-6T09:30:00Z", "1e9", "2026-01-31T09:30:00.123456789Z",
        "20260131T093000Z", "2026-01-31T09:30Z", "\uff12026-01-31T09:30:00Z",
    ]
)  # fmt: skip
WHOLE_NUMBERS = st.sampled_from(
    [
        "0", "1", "50", "1000", "1001", "-1", "-0", "+1", "1.0", "1e3", "2147483647", "2147483648", "9" * 30,
        "9" * 5_000, "0x10", "1_000", " 1", "1 ", "\u0661", "\uff11", "NaN", "Infinity", "-Infinity", "1e400", "",
        "null", "true", "1;2", "1,2",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "unconfirmed", "sent", "error", "outbound", "inbound", "SENT", "sent ", "%", "_", "\\", "' OR 1=1 --", '"',
        "*", "019c1363-49c0-7000-8000-000000000001", "019C1363-49C0-7000-8000-000000000001", "../../etc/passwd",
        "{{7*7}}", "x" * 160, "x" * 161, "👋" * 80, "👩‍👩‍👧‍👦" * 30, "\x1b[31m", "\r\nX-Injected: 1", "%00",
        "\u202e", "\ufeff", "a\u0300" * 80,
    ]
)  # fmt: skip
TEXTS = ANY_TEXT | NUMBERS | TIMES | WHOLE_NUMBERS | WORDS
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | TEXTS,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(TEXTS | NAMES, children, max_size=5),
    max_leaves=15,
)


def arguments(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Names and values, some of them correct."""
    fitting = st.one_of(
        st.tuples(st.just("to"), NUMBERS),
        st.tuples(st.just("body"), ANY_TEXT | WORDS),
        st.tuples(st.just("origin"), NUMBERS | WORDS),
        st.tuples(st.just("send_at"), TIMES),
        st.tuples(st.sampled_from(["limit", "offset"]), WHOLE_NUMBERS),
        st.tuples(st.sampled_from(["state", "direction", "q", "after", "before"]), WORDS | ANY_TEXT),
        st.tuples(st.just("phone"), NUMBERS),
    )
    one = fitting | st.tuples(NAMES | ANY_TEXT, values)
    return st.builds(
        lambda base, pairs: base + [pair for pair in pairs if pair[0] != "wait"],
        st.sampled_from([[], [("to", "+14560000000"), ("body", "Hello")]]),
        st.lists(one, max_size=4),
    )


def corrupt(data: bytes, place: int, junk: bytes, how: int) -> bytes:
    """Cut, overwrite, insert or do nothing."""
    place %= len(data) + 1
    start, end = data[:place], data[place:]
    return [data, start, start + junk + end, start + junk + end[len(junk) :]][how]


CORRUPTIONS = st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=8), st.integers(0, 3))


def escape(text: str, how: int) -> bytes:
    """Write a text into a query or form: properly, raw, in a wrong encoding, or with a broken escape."""
    raw = text.encode("utf-8", "surrogatepass")
    return [
        quote_from_bytes(raw, safe="").encode(),
        quote_from_bytes(raw, safe="+").encode(),
        raw.replace(b"&", b"%26"),
        quote_from_bytes(text.encode("utf-16", "surrogatepass"), safe="").encode(),
        text.encode("latin-1", "replace"),
        quote_from_bytes(raw, safe="").encode() + b"%",
        quote_from_bytes(raw, safe="").encode() + b"%zz%f",
        b"%" + quote_from_bytes(raw, safe="").encode(),
    ][how]


ESCAPES = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
ENCODED = st.builds(
    lambda pairs, ways: b"&".join(
        escape(name, how % 3) + b"=" + escape(value, how) for (name, value), how in zip(pairs, ways, strict=False)
    ),
    arguments(TEXTS),
    st.lists(ESCAPES, min_size=6, max_size=6),
)


# The requests


@hostile("anything")
@given(
    method=METHODS | st.text(min_size=1, max_size=20),
    path=PATHS | st.binary(max_size=100).map(lambda tail: b"/v1/messages/" + tail) | st.binary(max_size=100),
    query=st.binary(max_size=100) | ENCODED,
    content_type=st.none() | CONTENT_TYPES | ANY_TEXT,
    body=st.binary(max_size=300) | ENCODED,
)
def test_requests_with_anything_anywhere(target, method, path, query, content_type, body):
    target.call(method, path, query, body, content_type)


DEEP = st.tuples(
    st.sampled_from(["[", '{"to":', '{"body":[', '{"a":{"b":[']), st.integers(1, 20_000), st.booleans()
).map(lambda given: (given[0] * given[1] + ("]" * given[1] if given[2] and given[0] == "[" else "")).encode())
DEEP_ARGUMENT = st.tuples(NAMES, st.integers(1, 5_000)).map(
    lambda given: f'{{"to": "+14560000000", {json.dumps(given[0])}: {"[" * given[1]}{"]" * given[1]}}}'.encode()
)
LITERALS = st.sampled_from(
    [
        b"", b"null", b"true", b"[]", b"{}", b'"to"', b"0", b"NaN", b"-", b"{", b"}", b"[" * 100_000,
        b"\xff\xfe{\x00}\x00", b'{"to": 1e99999}', b'{"to": ' + b"9" * 10_000 + b"}", b'{"limit": -0}',
        b'{"to": "\\ud800"}', b'{"to": "\\u00"}', b'{"body": "\xed\xa0\x80"}', b'{"body": "\xc0\x80"}',
        b"\xef\xbb\xbf{}", b'{"to": Infinity}', b"{'to': 1}", b"{}{}",
        b'{"to": "+14560000000", "to": ["+14560000000"], "body": "twice"}',
        b'{"to": {"0": "+14560000000"}, "body": [""]}',
        b'{"to": ' + json.dumps(["+14560000000"] * 1_001).encode() + b', "body": "x"}',
        b'{"to[]": [], "to": null}',
    ]
)  # fmt: skip
ALMOST_JSON = st.builds(
    lambda pairs, ascii_only, damage: corrupt(
        json.dumps(dict(pairs), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), *damage
    ),
    arguments(JSON_VALUES),
    st.booleans(),
    CORRUPTIONS,
)


@hostile("json")
@given(
    place=PLACES,
    body=st.one_of(ALMOST_JSON, ALMOST_JSON, ALMOST_JSON, JSON_VALUES.map(lambda value: json.dumps(value).encode()))
    | LITERALS
    | DEEP
    | DEEP_ARGUMENT,
    encoding=st.sampled_from(["utf-8"] * 8 + ["utf-16", "utf-32-be", "utf-7"]),
)
def test_bodies_that_are_almost_valid_json(target, place, body, encoding):
    if encoding != "utf-8":
        body = body.decode("utf-8", "replace").encode(encoding)
    target.call(*place, b"", body, "application/json")


@hostile("form")
@given(
    place=PLACES,
    query=st.just(b"") | ENCODED,
    body=st.one_of(ENCODED, ENCODED, ENCODED, st.binary())
    | st.integers(1_000, 1_200).map(lambda count: b"&".join([b"to=%2B14560000000"] * count)),
)
def test_forms_with_wrong_escapes_and_encodings(target, place, query, body):
    target.call(*place, query, body, "application/x-www-form-urlencoded")


DISPOSITIONS = st.sampled_from(
    [
        'form-data; name="{}"', 'form-data; name="{}"; filename="a.txt"', "form-data; name={}", "form-data", "{}",
        "", "form-data; name*=UTF-8''{}", "form-data; name=\"{}\"; filename*=nonsense''%ff", 'form-data; name="{}',
        "attachment",
    ]
)  # fmt: skip
EXTRA_HEADERS = st.sampled_from(
    [
        b"", b"", b"\r\nContent-Type: text/plain; charset=utf-16",
        b"\r\nContent-Type: text/plain; charset=nonsense", b"\r\nContent-Transfer-Encoding: base64",
        b"\r\nno colon", b"\r\n folded", b"\r\nContent-Type: ;;;=", b"\n",
    ]
)  # fmt: skip
PARTS = st.builds(
    lambda disposition, name, extra, value: (
        b"--x\r\nContent-Disposition: "
        + disposition.format(name).encode("utf-8", "surrogatepass")
        + extra
        + b"\r\n\r\n"
        + value.encode("utf-8", "surrogatepass")
        + b"\r\n"
    ),
    DISPOSITIONS,
    NAMES | st.text(max_size=20),
    EXTRA_HEADERS,
    TEXTS,
)
MULTIPART = st.builds(
    lambda parts, end, damage: corrupt(b"".join(parts) + end, *damage),
    st.lists(PARTS, max_size=5),
    st.sampled_from([b"--x--\r\n", b"--x--\r\n", b"--x--", b"--x", b"", b"--y--\r\n", b"--x--\r\ntrailing"]),
    CORRUPTIONS,
)


@hostile("multipart")
@given(
    place=PLACES,
    body=MULTIPART,
    content_type=st.sampled_from(
        ["multipart/form-data; boundary=x"] * 6
        + [
            'multipart/form-data; boundary="x"',
            "multipart/form-data; boundary=y",
            "multipart/form-data; boundary=" + "x" * 500,
        ]
        + ["multipart/form-data", "multipart/form-data; boundary=\xe9", 'multipart/form-data; boundary=""']
    ),
)
def test_fragments_of_multipart_forms(target, place, body, content_type):
    target.call(*place, b"", body, content_type)


@hostile("query")
@given(
    method=st.sampled_from(["GET"] * 6 + ["HEAD", "DELETE"]),
    path=st.sampled_from([b"/v1/messages"] * 9 + [b"/v1/messages/"]),
    query=st.lists(ENCODED, max_size=3).map(b"&".join)
    | st.sampled_from(
        [b"wait=", b"wait=31", b"wait=-1", b"wait=nan", b"wait=1e1", b"wait=inf", b"wait=0x1", b"wait=0&wait=0"]
    ),
)
def test_lists_with_wrong_criteria(target, method, path, query):
    target.call(method, path, query)


HEADER_NAMES = st.sampled_from(
    [
        "HTTP_AUTHORIZATION", "HTTP_IDEMPOTENCY_KEY", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_TRANSFER_ENCODING",
        "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_EXPECT", "HTTP_RANGE", "HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_IF_MATCH",
        "HTTP_X_FORWARDED_FOR", "HTTP_CONTENT_ENCODING", "HTTP_ACCEPT_ENCODING", "HTTP_IF_MODIFIED_SINCE",
    ]
)  # fmt: skip
HEADER_VALUES = st.sampled_from(
    [
        "", " ", "Basic", "Basic ", "Basic =", "Basic " + "A" * 5_000, "Basic gIA6", "Basic Og==",
        "basic  dGVzdC1rZXk6", "Bearer test-key", "Digest username=x", "Basic dGVzdC1rZXk", basic(KEY),
        basic(KEY, "any"), "chunked", "gzip", "-1", "99999999999999999999", "1e3", "bytes=0-", "x" * 256,
        "x" * 255, "same key", "\xff", "\x00", "a\tb", "0", "DELETE",
    ]
)  # fmt: skip
HEADERS = st.dictionaries(
    HEADER_NAMES, HEADER_VALUES | st.binary(max_size=40).map(lambda data: data.decode("latin-1")), max_size=6
)


@hostile("headers")
@given(
    method=METHODS,
    path=PATHS,
    headers=HEADERS,
    body=st.sampled_from(
        [b"", b'{"to": "+14560000000", "body": "Hello"}', b"to=%2B14560000000&body=Hello", b"\x1f\x8b\x08"]
    ),
    content_type=CONTENT_TYPES,
)
def test_headers_that_make_no_sense(target, method, path, headers, body, content_type):
    target.call(method, path, b"", body, content_type, headers)


# Requests that a generator does not find by chance


@pytest.mark.parametrize(
    ("body", "types"),
    [
        (b"[" * 200_000, ["malformed_json"]),
        (b'{"a":' * 40_000, ["malformed_json"]),
        (b'{"limit": ' + b"1" * 200_000 + b"}", ["malformed_json"]),
        (b"\x00" * 1_000, ["malformed_json"]),
        (b'{"to": "+14560000000", "body": "\\u0000"}', ["invalid_text"]),
        (b'{"to": "+14560000000", "body": "\\udc00"}', ["invalid_text"]),
        (b'{"to": ["+14560000000", {}], "body": "x"}', ["invalid_msisdn"]),
        ("{}".encode("utf-32-le"), ["malformed_json"]),
    ],
    ids=[
        "deep lists",
        "deep objects",
        "a huge number",
        "zeros",
        "NUL",
        "a surrogate",
        "an object for a number",
        "UTF-32",
    ],
)
def test_a_body_made_to_hurt_is_named_for_what_it_is(target, body, types):
    code, answer = target.call("POST", b"/v1/messages", b"", body, "application/json")
    assert (code, [error["type"] for error in answer["errors"]]) == (400, types)
