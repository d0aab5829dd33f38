import socket

from phonify.server.start import open_listener


def test_answers_are_not_delayed_on_connections_made_before_the_workers_run() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        client = socket.create_connection(listener.getsockname())
        with client, listener.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
