"""Kannel with its fake SMSC, configured as the guide says, except for ports and folders."""

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tests.support.guides import read_block
from tests.support.load import wait_until
from tests.support.servers import Process, find_free_port

FAKE_SMSC = "/usr/lib/kannel/test/fakesmsc"
GUIDE = "gateways-http"
INSTALLED = shutil.which("bearerbox", path=f"{os.environ['PATH']}:/usr/sbin") and Path(FAKE_SMSC).exists()


class Sms(NamedTuple):
    """What the fake SMSC got."""

    sender: str
    to: str
    header: bytes  # the user data header
    data: bytes  # UTF-8 if the SMS is in GSM-7, and UTF-16 in UCS-2


class Kannel:
    """Bearerbox, smsbox and the fake SMSC. Each has its own log in the folder."""

    def __init__(self, folder: Path, *, callbacks: int, password: str, secret: str) -> None:
        self._folder = folder
        self.ports = {port: find_free_port() for port in (13000, 13001, 13013, 10000)}
        text = read_block(GUIDE, "kannel configuration")
        for port, free in {**self.ports, 8000: callbacks}.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        text = text.replace("/var/spool/kannel", str(folder)).replace("CALLBACK-SECRET", secret)
        text = text.replace("ADMIN-PASSWORD", "admin").replace("= PASSWORD", f"= {password}")
        # What waits for the SMSC or for Phonify is repeated after a second. The test would have to wait a minute.
        text = text.replace("group = core\n", "group = core\nsms-resend-freq = 1\n")
        text = text.replace("http-queue-delay = 30", "http-queue-delay = 1")
        for name in "store", "dlr":
            folder.joinpath(name).mkdir()
        self._file = folder / "kannel.conf"
        self._file.write_text(text)
        self.processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        """The address for messages."""
        return f"http://127.0.0.1:{self.ports[13013]}/cgi-bin/sendsms"

    def configure(self, old: str, new: str) -> None:
        """Replace a text in the configuration. Call it before the start."""
        text = self._file.read_text()
        assert old in text
        self._file.write_text(text.replace(old, new))

    def start(self) -> None:
        """Start both programs of Kannel, and wait until they answer."""
        self._run("bearerbox", ["bearerbox", "-v", "1", str(self._file)], port=self.ports[13001])
        self._run("smsbox", ["smsbox", "-v", "1", str(self._file)], port=self.ports[13013])

    def start_smsc(self, *arguments: str) -> Process:
        """Start the fake SMSC, by default without texts from phones."""
        wait_until(lambda: is_listening(self.ports[10000]))
        arguments = arguments or ("-m", "0", "1 2 text none")
        command = [FAKE_SMSC, "-v", "0", "-H", "127.0.0.1", "-r", str(self.ports[10000]), *arguments]
        return self._run("fakesmsc", command)

    def start_smsc_of_guide(self) -> Process:
        """Start the fake SMSC with the command of the guide."""
        command = read_block(GUIDE, "kannel fake smsc").strip().replace("10000", str(self.ports[10000]))
        return self._run("fakesmsc", ["sh", "-c", command])

    def stop_smsc(self) -> None:
        """Stop the fake SMSC."""
        self.processes["fakesmsc"].kill_all()

    def read_sms(self) -> list[Sms]:
        """Return what the fake SMSC has got, by its log."""
        lines = re.findall(r"Got message \d+: <(.*)>$", self.processes["fakesmsc"].output, re.MULTILINE)
        return [_read_sms(line) for line in lines]

    def wait_for_sms(self, count: int) -> list[Sms]:
        """Wait until the fake SMSC has got the given number of SMS."""
        wait_until(lambda: len(self.read_sms()) >= count)
        return self.read_sms()

    def _run(self, name: str, command: list[str], *, port: int | None = None) -> Process:
        environ = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin", "LC_ALL": "C.UTF-8"}
        log = self._folder / f"{name}-{time.monotonic_ns()}.log"
        self.processes[name] = Process(command, log=log, cwd=self._folder, environ=environ)
        if port is not None:
            wait_until(lambda: is_open(port))
        return self.processes[name]

    def kill(self) -> None:
        """Kill both programs of Kannel."""
        for name in "smsbox", "bearerbox":
            self.processes[name].kill_all()

    def close(self) -> None:
        """Kill all processes."""
        for process in self.processes.values():
            process.kill_all()


def is_open(port: int) -> bool:
    """Return whether a port of this machine accepts connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def is_listening(port: int) -> bool:
    """Return whether a process of this machine listens at a port, without a connection to it.

    Kannel hands messages to each connection at the port of the fake SMSC.
    """
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(address.endswith(f":{port:04X}") and state == "0A" for _, address, _, state, *_ in rows)


def _read_sms(line: str) -> Sms:
    sender, to, kind, rest = re.fullmatch(r"(.+) (\+?\d+) (text|ucs-2|udh) ?(.*)", line).groups()  # type: ignore[union-attr]
    if kind == "text":
        return Sms(sender, to, b"", rest.encode())
    header = ""
    if kind == "udh":
        header, rest = re.fullmatch(r"(\S+) data ?(.*)", rest).groups()  # type: ignore[union-attr]
    return Sms(sender, to, unquote_to_bytes(header), unquote_to_bytes(rest.replace("+", " ")))


@contextmanager
def running_kannel(folder: Path, *, callbacks: int, password: str, secret: str) -> Iterator[Kannel]:
    """Yield Kannel, started. It posts to a port of this machine."""
    kannel = Kannel(folder, callbacks=callbacks, password=password, secret=secret)
    try:
        kannel.start()
        yield kannel
    finally:
        kannel.close()
