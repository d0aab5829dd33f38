"""Serving on gunicorn: sockets, workers, the one that delivers, the access log, and what the start prints."""

import ctypes
import gc
import json
import logging
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn

from . import accounts
from .access_log import escape_controls, mask_keys, mask_request, remove_key_filter
from .api.error_handlers import fault_for_status
from .config import ConfigError, Settings
from .errors import StoreUnavailable
from .gathering import GatheringWorker
from .handover import Handover
from .json_log import JsonFormatter, configure_logs
from .request_id import HEADER
from .runtime import Runtime

logger = logging.getLogger(__name__)

SAFE_KEY_LENGTH = 22  # characters of 6 bits
_SO_ATTACH_FILTER = 26  # of Linux
_STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
# Seconds that a thread may keep the interpreter lock while another wants it. Each request lets go of it many
# times a millisecond; to be made to in between only makes two requests slow instead of one.
_SWITCH_INTERVAL = 0.05
_OTHERS = 2  # workers beside those that serve the API: one for pages, one that delivers
_PAGE = re.compile(rb"[A-Z]+ /(?:inbox[/? ]|[? ])")  # how a request for one begins
_PAGES_NICENESS = 5
_MOST_WAITING = 4  # connections, from which on a queue is one of a worker that stands still
SEND_TIME = struct.pack("ll", 10, 0)  # seconds in which a client must take something of its answer
PORT_WAIT = 5.0  # seconds for the workers of a server that was killed to let go of the port


class AccessLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with one plain line a request, and no key in it."""

    def setup(self, cfg: Any) -> None:
        """Set the handlers up."""
        super().setup(cfg)
        remove_key_filter(self.access_log)  # here keys are masked before, and once is enough

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        """Log one request."""
        if not self.access_log_enabled:
            return
        method, address = mask_request(environ.get("REQUEST_METHOD", "-"), environ.get("RAW_URI", "-"))
        self.access_log.info(
            '%s %s "%s %s" %s %s %.1fms',
            environ.get("REMOTE_ADDR") or "-",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            method,
            escape_controls(address),
            str(resp.status).partition(" ")[0],
            resp.sent,
            request_time.total_seconds() * 1000,
        )


class JsonLogger(AccessLogger):
    """The same with one JSON object a request, and gunicorn's own lines likewise."""

    def setup(self, cfg: Any) -> None:
        """Set the handlers up."""
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(JsonFormatter())

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        """Log one request."""
        if not self.access_log_enabled:
            return
        method, path = mask_request(environ.get("REQUEST_METHOD", "-"), environ.get("RAW_URI", "-"))
        request_id = next((value for name, value in resp.headers if name == HEADER), None)
        self.access_log.info(
            "answered",
            extra={
                "client": environ.get("REMOTE_ADDR") or "-",
                "method": method,
                "path": path,
                "status": int(str(resp.status).partition(" ")[0]),
                "bytes": resp.sent,
                "milliseconds": round(request_time.total_seconds() * 1000, 1),
                "request_id": mask_keys(request_id) if request_id is not None else None,
            },
        )


class _Discarded:
    """Stands in for a client's socket: keeps what gunicorn would have sent."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.data = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, data: bytes) -> None:
        self.data += data


class Threads:
    """The threads of a worker: always so many that do not wait.

    A thread that begins to wait is replaced by a new one, and ends with its request. More threads
    for all would make requests that are busy slower.
    """

    def __init__(self, count: int) -> None:
        self._missing = count  # started when there is something to do
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._own = threading.local()

    def submit(self, function: Callable[..., Any], /, *args: Any) -> None:
        """Have a thread call a function, which raises nothing."""
        self._jobs.put(partial(function, *args))
        if self._missing:
            self._missing -= 1
            self._start()

    def replace_current(self) -> None:
        """Start a thread in place of the one that calls."""
        self._own.replaced = True
        self._start()

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002, FBT002 - of gunicorn
        """Let each thread end after what is queued."""
        self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._work, name="requests", daemon=True).start()

    def _work(self) -> None:
        self._own.replaced = False
        while not self._own.replaced:
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)  # for the next thread
                return
            job()


class Worker(GatheringWorker):
    """gunicorn's worker with threads. Most of a server's workers serve the API, one its pages, and one delivers.

    Being processes of their own, delivery and pages, of which any number may be open and ask for
    changes, do not compete with the API for the interpreter lock; gunicorn replaces each that should
    die. A connection goes to the worker that its next request is for, and one that is new from the
    worker that the kernel has chosen to one that has fewer: those with many would be the slower.
    """

    slot = 0  # which of the server's sockets it accepts from; the next one serves pages, and the last one delivers
    queues: Sequence[Handover] = ()  # to each worker but the last one, by slot
    _connections = 0

    @property
    def nr_conns(self) -> int:
        """How many connections this worker has; gunicorn counts them."""
        return self._connections

    @nr_conns.setter
    def nr_conns(self, count: int) -> None:
        self._connections = count
        if self.queues and self.alive:  # one that ends has a successor in its place
            self.queues[self.slot].hold(count)

    def runtime(self) -> Runtime | None:
        """Return the runtime of the app that is served; None where that is not Phonify."""
        runtime: Runtime | None = self.app.callable.extensions.get("phonify")
        return runtime

    def announce_stop(self) -> None:
        """Let waiting requests and the dispatcher come to their end."""
        runtime = self.runtime()
        if runtime is not None:
            runtime.stop()

    def get_thread_pool(self) -> Threads:
        """Return the threads that requests are handled in."""
        return Threads(self.cfg.threads)

    def stand_in(self) -> bool:
        """Have another thread take the place of the one that calls."""
        self.tpool.replace_current()
        return True

    def run(self) -> None:
        """Serve, or deliver."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)  # those that came before can be obeyed only now
        sys.setswitchinterval(_SWITCH_INTERVAL)
        runtime = self.runtime()
        if self.sockets:
            if runtime is not None:
                runtime.messaging.arrivals.begun = self.tpool.replace_current
            super().run()
        else:
            self.deliver()
        if runtime is not None:
            runtime.database.close()  # the last one to do so leaves all that was written in the one file

    def pass_on(self, conn: TConn, data: bytes) -> bool:
        """Let another worker have a connection: the one that its next request is for, or one that has fewer."""
        if not self.queues or not self.alive:
            return False
        own = self.queues[self.slot]
        *api, pages = self.queues
        if _PAGE.match(data):
            queue = pages
        elif own is pages:
            queue = min(api, key=_judge_queue)
        elif not conn.initialized:  # it is new
            queue = min(api, key=_judge_queue)
            if queue.waiting() >= _MOST_WAITING or queue.count() + 1 >= own.count():
                queue = own
        else:
            queue = own
        return queue is not own and queue.give(conn.sock)

    def list_queues(self) -> list[Any]:
        """Return also the queues that this worker may have given to: whoever takes from one may have stopped before."""
        return list(dict.fromkeys([*self.sockets, *self.queues]))

    def deliver(self) -> None:
        """Run what delivers until this worker is to stop."""
        runtime = self.runtime()
        loops = runtime.start_delivery() if runtime is not None else []
        while self.alive and all(loop.is_alive() for loop in loops) and self.is_parent_alive():
            self.notify()
            if loops:
                loops[0].join(1.0)
            else:
                time.sleep(0.5)
        self.announce_stop()
        for loop in loops:
            loop.join(self.cfg.graceful_timeout)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: a signal handler, so it only sets flags and rings."""
        self.announce_stop()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Begin to stop at Ctrl-C, too: what is in hand is finished."""
        self.handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """Tell whether the server that started this worker is there; stop where it is not."""
        alive: bool = super().is_parent_alive()
        if not alive:
            # Kept-alive connections are to be closed after their next answer: the port is wanted.
            self.alive = False
            self.announce_stop()
        return alive

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read as HTTP: gunicorn logs and judges it, the answer is JSON."""
        discarded = _Discarded(client)
        super().handle_error(req, discarded, addr, exc)
        status_line = discarded.data.partition(b"\r\n")[0] or b"HTTP/1.1 400 Bad Request"
        fault = fault_for_status(int(status_line.split()[1]))  # what was wrong in detail is in the log
        body = json.dumps({"errors": [fault.to_dict()]}).encode()
        head = f"\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            client.settimeout(1)
            client.sendall(status_line + head.encode() + body)
        except OSError:
            self.log.debug("the client was gone before it could be told")


def _judge_queue(queue: Handover) -> tuple[bool, int]:
    """Return what is the less, the better it is to give to a queue."""
    return queue.waiting() >= _MOST_WAITING, queue.count()


def _choose_slot(arbiter: Arbiter, worker: Worker) -> None:
    """Give a new worker the slot that has the fewest workers."""
    taken = Counter(other.slot for other in arbiter.WORKERS.values())
    worker.slot = min(range(len(arbiter.LISTENERS) + _OTHERS), key=lambda slot: taken[slot])


def _take_slot(arbiter: Arbiter, worker: Worker) -> None:
    own = worker.sockets[worker.slot : worker.slot + 1]
    for other in worker.sockets:
        if other not in own:
            other.close()  # or what its worker no longer accepts would go on being queued
    queues = arbiter.app.queues
    if worker.slot == len(queues):
        worker.sockets = []
        for queue in queues:
            queue.close()
        return
    worker.sockets = [*own, queues[worker.slot]]
    worker.queues = queues
    worker.nr_conns = 0  # whatever the one had that it replaces
    if own:
        _keep_to_cpus(worker.slot, len(arbiter.LISTENERS))
    else:
        os.nice(_PAGES_NICENESS)


def share_cpus(cpus: Collection[int], slot: int, count: int) -> set[int]:
    """Return which CPUs one of `count` workers is to run on: its own, but all of them where there are too few."""
    return set(sorted(cpus)[slot::count] if len(cpus) >= count else cpus)


def _keep_to_cpus(slot: int, count: int) -> None:
    """Have this worker run on its share of the CPUs that the server may use.

    Only one of its threads has the interpreter lock at a time. On other CPUs the others would wake beside that one,
    away from what is in the cache, only to find the lock taken and go to sleep again.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # some sandboxes forbid it
            os.sched_setaffinity(0, share_cpus(os.sched_getaffinity(0), slot, count))


def _drop_packets(listener: socket.socket) -> None:
    """Let the kernel make no new connections, so that none is in the queue when a worker closes the socket."""
    if sys.platform == "linux":
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # classic BPF: return 0
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master, with as many workers as there are sockets for them."""

    def spawn_worker(self) -> int:
        """Start a worker; a signal that ends it waits until it is listened to."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            pid: int = super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        return pid

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT002 - of gunicorn
        """Take no more connections, and have the workers come to their end with those that were taken."""
        for listener in self.LISTENERS:
            _drop_packets(listener)
        super().stop(graceful)

    def handle_ttin(self) -> None:
        """Refuse to add a worker."""
        self.log.warning("the number of workers is set by PHONIFY_WORKERS")

    def handle_ttou(self) -> None:
        """Refuse to take a worker away: connections would go on to its socket."""
        self.handle_ttin()


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with an app and sockets that are there already.

    Each worker accepts from a socket of its own: of a socket that they share, one worker takes
    nearly all kept-alive connections. The sockets belong to the master, so that connections
    queued on one outlive the worker.
    """

    def __init__(self, app: Flask, settings: Settings, sockets: list[socket.socket]) -> None:
        self._app = app
        self._settings = settings
        # Once and for all: gunicorn reads its configuration again at each reload.
        address = sockets[0].getsockname()
        self._binds = [f"fd://{sock.detach()}" for sock in sockets]
        self.queues = [Handover(address) for _ in range(settings.workers + 1)]  # to all but the one that delivers
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings."""
        settings = self._settings
        for name, value in {
            "bind": self._binds,
            "workers": settings.workers + _OTHERS,
            "threads": settings.threads,
            "worker_connections": 1_000 + settings.waiting,
            "worker_class": Worker,
            "logger_class": JsonLogger if settings.log_format == "json" else AccessLogger,
            "accesslog": "-" if settings.access_log else None,
            "loglevel": "warning",
            "graceful_timeout": settings.grace,
            "timeout": max(60, settings.grace + 30),
            "keepalive": 15,
            "sendfile": False,  # it would wait for ever for a client that takes nothing
            "limit_request_line": 8190,
            "forwarder_headers": "",  # no client says by SCRIPT_NAME where the app begins
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - gunicorn's heartbeat files, in memory
            "control_socket_disable": True,
            "pre_fork": _choose_slot,
            "post_fork": _take_slot,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the app."""
        return self._app

    def run(self) -> None:
        """Serve until a signal ends it."""
        _Arbiter(self).run()


def open_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Listen `count` times on one port (0: any that is free); raise ConfigError where that can't be done."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        _wait_for_port(family, address)
        sockets = []
        for _ in range(count):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIME)  # accepted ones inherit it
            sock.bind(address)
            sock.listen(2048)
            address = sock.getsockname()
            sockets.append(sock)
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host} port {port}: {error.strerror}; choose others with PHONIFY_HOST and PHONIFY_PORT"
        ) from error
    return sockets


def _wait_for_port(family: int, address: Any) -> None:
    # Without SO_REUSEPORT: with it, a server of the same user that has the port would go unnoticed.
    end = time.monotonic() + PORT_WAIT
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError:
                if time.monotonic() > end:
                    raise
            else:
                return
        time.sleep(0.1)


def serve(create_app: Callable[[], Flask], *, command: str = "flask --app app") -> None:
    """Serve an app until SIGTERM or SIGINT; where it can't start, say why and exit with status 2.

    `command` is what its command line is called by, as the start shows it.
    """
    configure_logs(os.environ.get("PHONIFY_LOG_FORMAT", "text"))
    try:
        app = create_app()
        runtime: Runtime = app.extensions["phonify"]
        settings = runtime.settings
        sockets = open_sockets(settings.host, settings.port, settings.workers)
        _print_start(runtime, sockets[0].getsockname()[1], command)
    except ConfigError as error:
        error.show()
        sys.exit(error.exit_code)
    except StoreUnavailable as error:
        ConfigError(f"the database can't be used: {error.__cause__}").show()
        sys.exit(ConfigError.exit_code)
    runtime.database.close()
    runtime.doorbell.share()
    runtime.webhook_doorbell.share()
    gc.freeze()  # what is there by now stays, in the workers too: the collector need not look at it again and again
    gc.enable()
    Server(app, settings, sockets).run()


def _print_start(runtime: Runtime, port: int, command: str) -> None:
    settings = runtime.settings
    if settings.api_key is not None and len(settings.api_key) < SAFE_KEY_LENGTH:
        logger.warning("PHONIFY_API_KEY has fewer than 128 random bits: good enough for tests alone")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"Phonify serves {address} from {settings.database} (gateway: {settings.gateway})")
    account = accounts.ensure_default_account(runtime.database, runtime.clock)
    key = accounts.create_first_key(runtime.database, runtime.clock, account)
    if key is not None:
        print("This is the API key of the account 'default'. It is shown only this once:\n")
        print(f"    {key}\n")
    elif settings.api_key is not None:
        key = "$PHONIFY_API_KEY"
    if key is not None:
        if key.startswith("$"):
            print(f"The inbox is at {address}/: sign in with the key.")
        else:
            print(f"The inbox, signed in:\n\n    {address}/?api_key={key}\n")
        print("Send a message:\n")
        print(f"    curl {address}/v1/messages -u {key}: -d to=+14560000000 -d body='Hello from Phonify'\n")
    else:
        print(f"The inbox is at {address}/: sign in with a key.")
    program, _, arguments = command.partition(" ")
    installed = Path(sys.executable).with_name(program)
    program = os.path.relpath(installed) if installed.exists() else program
    print("Make another key with:", *filter(None, (program, arguments)), "keys create", flush=True)
