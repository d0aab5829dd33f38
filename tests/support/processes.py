"""The processes of a server, as the kernel lists them."""

import time
from pathlib import Path
from typing import NamedTuple


class Processes(NamedTuple):
    """The ids of a server's processes. `parent` has started `master`, which is gunicorn's, and `delivery`."""

    parent: int
    master: int
    workers: list[int]
    delivery: int

    def all(self) -> list[int]:
        return [self.parent, self.master, *self.workers, self.delivery]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started. The list is empty if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants_of(pid: int) -> list[int]:
    """Return the processes that a process has started, directly or indirectly."""
    return [found for child in children_of(pid) for found in (child, *descendants_of(child))]


def find_processes(server, workers: int = 2, timeout: float = 20) -> Processes:
    """Wait until a server has the given number of workers and a delivery process. Returns its processes."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        children = {child: children_of(child) for child in children_of(server.popen.pid)}
        if sorted(map(len, children.values())) == [0, workers]:
            delivery, master = sorted(children, key=lambda child: len(children[child]))
            return Processes(server.popen.pid, master, children[master], delivery)
        time.sleep(0.02)
    raise AssertionError(f"not {workers} workers and one that delivers: {children}")


def is_running(pid: int) -> bool:
    """Return whether a process is running."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
