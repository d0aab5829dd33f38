"""Tests of posts that fail: whether the receiver may have got the request, and what a receiver can't prolong."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import phonify.outgoing.http_client
from phonify.outgoing.http_client import Answer, NotAnswered, Request, send
from tests.outgoing.test_posting import CERTIFICATE, drip
from tests.support.receivers import NO_CONTENT, Received, answer, status

RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER without waiting: the connection is reset when it is closed


def post(url: str, body: bytes = b"{}", *, address: str = "127.0.0.1", **limits: float) -> Answer:
    """Post to a URL. Its name resolves to `address`."""
    request = Request("POST", url, body, {}, **limits)
    return send(request, private_allowed=True, resolve=lambda host, port: [address])


def fail(url: str, body: bytes = b"{}", **options: object) -> NotAnswered:
    """Return the reason why a post failed."""
    with pytest.raises(NotAnswered) as caught:
        post(url, body, **options)
    return caught.value


@contextmanager
def serving(act: Callable[[socket.socket], object]) -> Iterator[int]:
    """Hand one connection to a function, and close it. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                act(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """The TLS context of a receiver whose certificate for localhost is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    phonify.outgoing.http_client._tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    yield context
    phonify.outgoing.http_client._tls_context.cache_clear()


# Nothing was sent


def test_a_refused_connection_has_sent_nothing():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not fail(f"http://127.0.0.1:{unused.getsockname()[1]}/").connected


def test_a_name_that_does_not_resolve_has_sent_nothing():
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(NotAnswered, match="could not be resolved") as caught:
        send(Request("POST", "http://nowhere.example/", b"{}", {}), private_allowed=True, resolve=resolve)
    assert not caught.value.connected


def test_an_address_that_is_not_allowed_and_a_url_that_can_not_be_used_have_sent_nothing():
    assert not fail("http://metadata.example/", address="169.254.169.254").connected
    assert not fail("ftp://example.com/").connected


def test_a_certificate_that_is_not_valid_has_sent_nothing(make_receiver, trusted):
    receiver = make_receiver(tls=trusted)
    failure = fail(f"https://other.example:{receiver.port}/")
    assert str(failure).startswith("the certificate is not valid for other.example: ")
    assert (failure.connected, receiver.received) == (False, [])


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda client: client.sendall(b"220 ready\r\n") or client.recv(1_000), "no TLS connection could be made"),
        (lambda client: client.recv(1_000), "no TLS connection could be made"),
        (
            lambda client: client.recv(1_000) and client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET),
            "the connection was closed without an answer",
        ),
        (lambda client: [client.recv(1_000) for _ in range(2)], "no answer within 0.3 seconds"),
    ],
    ids=["another protocol", "closed", "reset", "silent"],
)
def test_tls_that_fails_has_sent_nothing(act, reason):
    with serving(act) as port:
        failure = fail(f"https://localhost:{port}/", connect_timeout=0.3)
    assert (str(failure), failure.connected) == (reason, False)


def test_a_connection_that_nobody_accepts_has_sent_nothing():
    with full_server() as port:
        failure = fail(f"http://127.0.0.2:{port}/", address="127.0.0.2", connect_timeout=0.3)
    assert (str(failure), failure.connected) == ("no answer within 0.3 seconds", False)


def test_a_thread_that_can_not_be_started_has_sent_nothing(receiver, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, socket.create_server(("127.0.0.1", 0)) as server:
        patched.setattr("threading.Thread.start", refuse)
        failure = fail(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert (str(failure), failure.connected) == ("no connection: can't start new thread", False)


# The request may have been received


def test_a_connection_closed_before_the_request_was_read_is_in_doubt():
    def act(client: socket.socket) -> None:
        client.recv(1, socket.MSG_PEEK)  # wait for the request; closing then resets the connection

    with serving(act) as port:
        failure = fail(f"http://127.0.0.1:{port}/")
    assert (str(failure), failure.connected) == ("the connection was closed without an answer", True)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 20"])
def test_a_connection_closed_after_the_request_was_read_is_in_doubt(make_receiver, data):
    receiver = make_receiver(answer(data))
    assert fail(receiver.url).connected
    assert len(receiver.received) == 1


def test_a_secured_connection_closed_after_the_request_was_read_is_in_doubt(make_receiver, trusted):
    receiver = make_receiver(answer(b""), tls=trusted)
    failure = fail(f"https://localhost:{receiver.port}/")
    assert (str(failure), failure.connected) == ("the connection was closed without an answer", True)


def test_an_answer_that_is_not_http_is_in_doubt(make_receiver):
    assert fail(make_receiver(answer(b"SSH-2.0-OpenSSH_9.6\r\n")).url).connected


def test_an_answer_that_does_not_come_in_time_is_in_doubt(receiver):
    receiver.act = receiver.hang
    failure = fail(receiver.url, read_timeout=0.2)
    assert (str(failure), failure.connected) == ("no answer within 0.2 seconds", True)


# There is an answer


def test_a_connection_closed_in_the_middle_of_the_body_is_an_answer(make_receiver):
    receiver = make_receiver(answer(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"))
    assert post(receiver.url) == Answer(202, "{", complete=False)


def test_an_answer_counts_although_the_request_was_not_read_to_its_end():
    def act(client: socket.socket) -> None:
        client.recv(1_000)
        client.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        client.shutdown(socket.SHUT_RD)
        time.sleep(0.2)

    with serving(act) as port:
        assert post(f"http://127.0.0.1:{port}/", b"a" * 200_000).status == 413


# Time


@contextmanager
def full_server(port: int = 0) -> Iterator[int]:
    """Listen at 127.0.0.2 without room for a further connection. Yields the port."""
    with (
        socket.create_server(("127.0.0.2", port), backlog=0) as server,
        socket.create_connection(server.getsockname()),
    ):
        yield server.getsockname()[1]


def test_an_address_that_does_not_answer_leaves_time_for_the_others():
    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.recv(1_000)
            client.sendall(NO_CONTENT)

    # Other tests use ports of 127.0.0.1, so this address gets a free port first.
    with socket.create_server(("127.0.0.1", 0)) as server, full_server(server.getsockname()[1]) as port:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        request = Request("POST", f"http://two.example:{port}/", b"{}", {}, connect_timeout=0.5)
        answered = send(request, private_allowed=True, resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"])
        thread.join()
    assert answered.status == 204


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_a_receiver_that_sends_a_byte_now_and_then_is_cut_off_at_the_end_of_the_whole_time(make_receiver, begin):
    def act(client: socket.socket, received: Received) -> None:
        client.sendall(begin)
        drip(b"HTTP/1.1 200 OK\r\n" * 1_000)(client, received)

    receiver = make_receiver(act)
    begun = time.monotonic()
    failure = fail(receiver.url, read_timeout=0.3, timeout=0.6)
    assert (str(failure), failure.connected) == ("no answer within 0.6 seconds", True)
    assert time.monotonic() - begun < 2


def test_a_secured_body_that_drips_is_cut_off_in_time_and_has_only_what_the_receiver_wrote(make_receiver, trusted):
    def act(client: socket.socket, received: Received) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\na")
        drip(b"a" * 1_000)(client, received)

    receiver = make_receiver(act, tls=trusted)
    answered = post(f"https://localhost:{receiver.port}/", timeout=0.6)
    assert (answered.status, set(answered.text), answered.complete) == (200, {"a"}, False)


# What surrounds the client


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_a_proxy_from_the_environment_is_not_used(make_receiver, receiver, monkeypatch, name):
    proxy = make_receiver()
    monkeypatch.setenv(name, proxy.url)
    assert post(receiver.url).status == 204
    assert (len(receiver.received), proxy.received) == (1, [])


def test_an_ipv6_address_is_posted_to_with_brackets_in_the_host():
    seen = []

    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            seen.append(client.recv(1_000))
            client.sendall(NO_CONTENT)

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        assert send(Request("POST", f"http://[::1]:{port}/", b"", {}), private_allowed=True).status == 204
        thread.join()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in seen[0]


def test_faulty_headers_of_an_answer_put_no_url_into_the_log(make_receiver, caplog):
    caplog.set_level(logging.INFO)
    receiver = make_receiver(answer(b"HTTP/1.1 200 OK\r\nno header\r\nA: b\r\n\r\ntext"))
    assert post(f"{receiver.url}?password=secret").status == 200
    assert caplog.text == ""


def test_a_compressed_answer_is_not_unpacked(make_receiver):
    assert post(make_receiver(status(200, "Content-Encoding: gzip", body="text")).url).text == "text"
