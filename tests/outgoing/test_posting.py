"""Tests of posting: allowed URLs, allowed addresses, and receivers with faults."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import phonify.outgoing.http_client
from phonify.outgoing.http_client import Answer, NotAnswered, Request
from phonify.outgoing.url_guard import BadUrl, Target, check_url, is_allowed, names_private_host, parse_url
from tests.support.app import ROOT
from tests.support.receivers import NO_CONTENT, Received, Receiver, answer, status

CERTIFICATE = ROOT / "tests" / "localhost.pem"


def post(url: str, body: bytes, headers: dict[str, str], *, timeout: float = 10, **options: Any) -> Answer:
    """Post to a URL."""
    return phonify.outgoing.http_client.send(Request("POST", url, body, headers, timeout=timeout), **options)


def send(url: str, *, timeout: float = 10, private_allowed: bool = True, addresses: list[str] | None = None) -> Answer:
    """Post to a URL. Its name resolves to `addresses`."""
    resolving = {} if addresses is None else {"resolve": lambda host, port: addresses}
    return post(url, b'{"a":1}', {"X-Test": "1"}, private_allowed=private_allowed, timeout=timeout, **resolving)


def refusal(url: str, **options: object) -> str:
    """Return the reason why a URL was not posted to."""
    with pytest.raises(NotAnswered) as caught:
        send(url, **options)
    return str(caught.value)


# URLs


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com/hook", Target(tls=True, host="example.com", port=443, path="/hook")),
        ("http://example.com", Target(tls=False, host="example.com", port=80, path="/")),
        (
            "HTTP://Example.COM:8080/Hook?a=1&b=%20#part",
            Target(tls=False, host="example.com", port=8080, path="/Hook?a=1&b=%20"),
        ),
        ("https://example.com?a=1", Target(tls=True, host="example.com", port=443, path="/?a=1")),
        ("https://[::1]:8443/hook", Target(tls=True, host="::1", port=8443, path="/hook")),
        ("https://[2001:DB8:0::1]/", Target(tls=True, host="2001:db8::1", port=443, path="/")),
        ("https://bücher.example/é", Target(tls=True, host="xn--bcher-kva.example", port=443, path="/%C3%A9")),
        ("https://my_app.internal./", Target(tls=True, host="my_app.internal.", port=443, path="/")),
        ("http://127.0.0.1:3000/sms", Target(tls=False, host="127.0.0.1", port=3000, path="/sms")),
        ('http://example.com/"<>', Target(tls=False, host="example.com", port=80, path="/%22%3C%3E")),
    ],
)
def test_a_url_is_taken_apart(url, target):
    assert parse_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "//example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///hook",
        "http://:80/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:http/",
        "http://example.com:8 0/",
        "http://exam ple.com/",
        " http://example.com/",
        "http://example.com/\n",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://example.com/\0",
        "http://example.com\\@other.example/",
        "http://example.com/\u200b",
        "http://exa%6dple.com/",
        "http://example..com/",
        "http://-.com:80:80/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[zz]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.a]/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "example/",
        "http://example.com/" + "a" * 2_000,
        "http://" + "ü" * 64 + "/",
        "http://\ud800/",
    ],
)
def test_what_can_not_be_posted_to_is_refused(url):
    with pytest.raises(BadUrl, match=r"^it"):
        parse_url(url)


@given(st.text())
def test_no_text_is_an_unexpected_error(text):
    for url in (text, f"http://{text}", f"https://example.com/{text}", f"http://example.com:{text}"):
        try:
            target = parse_url(url)
        except BadUrl:
            continue
        assert f"{target.host}{target.path}".isascii()
        assert 0 < target.port < 65_536


def test_a_long_host_of_many_labels_is_judged_at_once():
    begun = time.monotonic()
    with pytest.raises(BadUrl):
        parse_url("http://" + "a" * 60 + ".a-" * 400 + "!/")
    assert time.monotonic() - begun < 1


# Addresses

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "fd12:3456::1",
    "fc00::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "240.0.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "::",
    "fe80::1",
    "fe80::1%lo",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:808:808::5601:5601",
    "::ffff:100.100.100.200",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_posted_to(address):
    assert is_allowed(address, private_allowed=False)
    assert is_allowed(address, private_allowed=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_may_be_posted_to_only_where_that_is_allowed(address):
    assert not is_allowed(address, private_allowed=False)
    assert is_allowed(address, private_allowed=True)


@pytest.mark.parametrize("address", NEVER)
def test_a_link_local_or_metadata_address_may_never_be_posted_to(address):
    assert not is_allowed(address, private_allowed=False)
    assert not is_allowed(address, private_allowed=True)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"]
)
def test_a_forbidden_address_is_recognized_in_every_notation(host):
    with pytest.raises(BadUrl, match=r"addresses like 169\.254\.169\.254 are not allowed"):
        check_url(f"http://{host}/latest/meta-data", private_allowed=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:7f00:1]", "10.1.2.3"])
def test_a_private_address_in_a_url_is_refused_where_those_are_not_allowed(host):
    check_url(f"http://{host}/", private_allowed=True)
    with pytest.raises(BadUrl, match="are not allowed"):
        check_url(f"http://{host}/", private_allowed=False)


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "0.0.0.0"])
def test_the_refusal_of_an_address_that_is_never_allowed_names_no_setting(address):
    with pytest.raises(BadUrl, match=f"^addresses like {re.escape(address)} are not allowed$"):
        check_url(f"http://{address}/", private_allowed=False)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        *(
            (host, True)
            for host in ("127.0.0.1", "0x7f.1", "10.1.2.3", "[::1]", "[fd00::1]", "localhost", "LOCALHOST.")
        ),
        *((host, False) for host in ("example.com", "192.0.2.example", "8.8.8.8", "169.254.169.254", "[2001:4860::1]")),
        ("not a host", False),
    ],
)
def test_a_private_host_is_recognized_without_resolving_names(host, private):
    assert names_private_host(f"https://{host}:8080/sms") is private


def test_a_name_is_not_resolved_before_it_is_posted_to():
    check_url("http://localhost/", private_allowed=False)
    check_url("http://does-not-exist.invalid/", private_allowed=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "localhost"])
def test_loopback_in_any_notation_is_judged_after_resolving(host, receiver):
    url = receiver.url.replace("127.0.0.1", host)
    assert send(url).status == 204
    assert "are not allowed" in refusal(url, private_allowed=False)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0"])
def test_a_name_that_resolves_to_a_forbidden_address_is_not_connected_to(address):
    assert refusal("http://metadata.example/", addresses=[address]) == f"addresses like {address} are not allowed"


def test_a_name_that_resolves_to_a_private_address_is_not_connected_to_where_those_are_not_allowed(receiver):
    url = f"http://rebound.example:{receiver.port}/"
    reason = "addresses like 127.0.0.1 are not allowed without PHONIFY_WEBHOOK_PRIVATE=on"
    assert refusal(url, addresses=["127.0.0.1"], private_allowed=False) == reason
    assert receiver.received == []


def test_a_name_is_resolved_once_and_the_judged_address_is_connected_to(receiver):
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    url = f"http://rebound.example:{receiver.port}/"
    assert post(url, b"{}", {}, private_allowed=True, resolve=resolve).status == 204
    assert receiver.received[0].headers["host"] == f"rebound.example:{receiver.port}"
    assert next(answers) == ["169.254.169.254"]  # no request asked for it


def test_of_several_addresses_those_that_are_not_allowed_are_left_out(receiver):
    url = f"http://mixed.example:{receiver.port}/"
    assert send(url, addresses=["169.254.169.254", "127.0.0.1"]).status == 204


def test_where_one_address_refuses_the_next_is_tried(receiver):
    url = f"http://two.example:{receiver.port}/"
    assert send(url, addresses=["127.0.0.2", "127.0.0.1"]).status == 204


# The request


def test_what_is_posted_arrives_as_it_is(receiver):
    send(receiver.url + "?a=1#part")
    (received,) = receiver.received
    assert (received.line, received.body) == ("POST /hook?a=1 HTTP/1.1", b'{"a":1}')
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (received.headers["x-test"], received.headers["connection"]) == ("1", "close")


def test_the_answer_is_returned_whatever_its_status(make_receiver):
    assert send(make_receiver(status(503, body="later")).url) == Answer(503, "later")


def test_a_redirect_is_an_answer_and_is_not_followed(make_receiver, receiver):
    redirecting = make_receiver(status(307, f"Location: {receiver.url}"))
    assert send(redirecting.url).status == 307
    assert receiver.received == []


def test_only_the_beginning_of_an_answer_is_read(make_receiver):
    assert send(make_receiver(status(200, body="a" * 100_000)).url) == Answer(200, "a" * 2_048, complete=False)


def test_an_answer_without_end_is_not_read_to_the_end(make_receiver):
    def act(client: socket.socket, received: Received) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"a" * 65_536)

    assert send(make_receiver(act).url) == Answer(200, "a" * 2_048)


@pytest.mark.parametrize(
    ("data", "text", "complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", "short", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger", "lo", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\ntext", "text", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\ntext", "text", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n", "text", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\nzz\r\n", "text", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\ntext", "text", False),
        (b"HTTP/1.0 200\r\n\r\n\xff\0\xfe", "\N{REPLACEMENT CHARACTER}" * 3, True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\ntext", "text", True),
    ],
)
def test_an_answer_that_lies_about_its_body_still_has_its_status(make_receiver, data, text, complete):
    assert send(make_receiver(answer(data)).url) == Answer(200, text, complete=complete)


# Failures and their texts


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
        b"\0" * 70_000,
    ],
)
def test_garbage_is_no_answer(make_receiver, data):
    assert refusal(make_receiver(answer(data)).url) == "the answer is not HTTP"


def test_a_connection_closed_at_once_is_no_answer(make_receiver):
    assert refusal(make_receiver(answer(b"")).url) == "the connection was closed without an answer"


def test_a_port_where_nobody_listens_refuses():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert refusal(f"http://127.0.0.1:{unused.getsockname()[1]}/") == "the connection was refused"


def test_a_name_that_does_not_resolve_says_so():
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotAnswered, match=r"^the name could not be resolved$"):
        post("http://nowhere.example/", b"", {}, private_allowed=True, resolve=resolve)
    assert refusal("http://nowhere.example/", addresses=[]) == "the host name has no IP address"


def test_a_url_that_can_not_be_used_says_why():
    assert refusal("gopher://example.com/") == "the URL can't be used: it must begin with https:// or http://"


def drip(data: bytes) -> Callable[[socket.socket, Received], None]:
    """Answer one byte at a time."""

    def act(client: socket.socket, received: Received) -> None:
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(0.05)

    return act


@pytest.mark.parametrize("act", ["hang", drip(NO_CONTENT), drip(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000)])
def test_what_is_not_answered_in_time_is_given_up_in_time(receiver, act):
    receiver.act = receiver.hang if act == "hang" else act
    begun = time.monotonic()
    assert refusal(receiver.url, timeout=0.3) == "no answer within 0.3 seconds"
    assert 0.25 < time.monotonic() - begun < 2


@pytest.mark.slow
def test_a_body_that_drips_is_cut_off_in_time_and_the_status_counts(make_receiver):
    begun = time.monotonic()
    answered = send(make_receiver(drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1_000)).url, timeout=2)
    assert answered.status == 200
    assert 0 < len(answered.text) < 1_000
    assert time.monotonic() - begun < 5


def test_continue_without_end_is_given_up_in_time(make_receiver):
    def act(client: socket.socket, received: Received) -> None:
        while True:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    assert refusal(make_receiver(act).url, timeout=0.3) == "no answer within 0.3 seconds"


def test_a_receiver_that_accepts_but_does_not_read_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        begun = time.monotonic()
        with pytest.raises(NotAnswered, match="no answer within"):
            post(url, b"a" * 50_000_000, {}, private_allowed=True, timeout=0.3)
        assert time.monotonic() - begun < 2


def test_the_time_for_the_name_counts(receiver):
    def resolve(host: str, port: int) -> list[str]:
        time.sleep(0.2)
        return ["127.0.0.1"]

    with pytest.raises(NotAnswered, match=r"^no answer within 0\.1 seconds$"):
        post(receiver.url, b"", {}, private_allowed=True, resolve=resolve, timeout=0.1)
    assert receiver.received == []


# TLS


@pytest.fixture
def secure_receiver(make_receiver: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with a trusted certificate for localhost."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    phonify.outgoing.http_client._tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    yield make_receiver(tls=context)
    phonify.outgoing.http_client._tls_context.cache_clear()


def test_https_is_posted_to_where_the_certificate_is_valid_for_the_host(secure_receiver):
    assert send(f"https://localhost:{secure_receiver.port}/hook", addresses=["127.0.0.1"]).status == 204
    assert secure_receiver.received[0].headers["host"] == f"localhost:{secure_receiver.port}"


def test_the_certificate_is_checked_against_the_host_and_not_the_address(secure_receiver):
    url = f"https://other.example:{secure_receiver.port}/"
    assert refusal(url, addresses=["127.0.0.1"]).startswith("the certificate is not valid for other.example: Hostname")
    url = f"https://127.0.0.1:{secure_receiver.port}/"
    assert refusal(url).startswith("the certificate is not valid for 127.0.0.1: IP address mismatch")
    assert secure_receiver.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_receiver, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    phonify.outgoing.http_client._tls_context.cache_clear()
    reason = refusal(f"https://localhost:{secure_receiver.port}/", addresses=["127.0.0.1"])
    assert reason == "the certificate is not valid for localhost: self-signed certificate"


def test_a_receiver_without_tls_is_told_from_one_with_it():
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def greet() -> None:
            client, _ = plain.accept()
            with client:
                client.sendall(b"220 ready\r\n")
                client.recv(1_000)

        thread = threading.Thread(target=greet)
        thread.start()
        assert refusal(f"https://127.0.0.1:{plain.getsockname()[1]}/") == "no TLS connection could be made"
        thread.join()


def test_tls_that_is_never_finished_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        assert refusal(url, timeout=0.3, addresses=["127.0.0.1"]) == "no answer within 0.3 seconds"


def test_a_secured_answer_that_drips_is_given_up_in_time(secure_receiver):
    secure_receiver.act = drip(NO_CONTENT)
    url = f"https://localhost:{secure_receiver.port}/"
    begun = time.monotonic()
    assert refusal(url, timeout=0.5, addresses=["127.0.0.1"]) == "no answer within 0.5 seconds"
    assert time.monotonic() - begun < 2


def test_posts_side_by_side_do_not_disturb_one_another(receiver):
    threads = [threading.Thread(target=send, args=(receiver.url,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.received) == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60", 60), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("x", None)],
)
def test_the_time_that_a_receiver_asks_for_is_read(receiver, text, expected):
    receiver.act = status(503, f"Retry-After: {text}")
    request = Request("POST", receiver.url, b"{}", {})
    answer = phonify.outgoing.http_client.send(request, private_allowed=True)
    assert answer.retry_after == expected
