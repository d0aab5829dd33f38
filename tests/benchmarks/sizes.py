"""Measures `python app.py` with databases of several sizes, and compares the smallest with the largest."""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from fill import BUSY_PHONE, fill, read_ids, wait_until_sent
from load import (
    Load,
    Request,
    alternate,
    call,
    compare_latencies,
    get_one_of,
    load,
    load_and_deliver,
    middle,
    phone,
    send_to,
    sign_in,
)
from plan import Plan
from servers import Installation, Serving, deliver, serve_own
from table import Floor, Line

BY_ID, FIRST_PAGE, DEEP_PAGE = "GET by id", "first list", "list before the id at 90 %"
OFFSET, MANY, DRAIN = "list at an offset of 90 %", "1,000 recipients in a POST", "drain of queued messages"
GROWTH = Floor("<=", 1.5)


def measure_sizes(plan: Plan) -> list[Line]:
    """Measure all sizes in turns.

    Requests that only read are first, because other requests make the databases larger.
    """
    installations = {size: plan.prepare(f"{size}", size, plan.checkout) for size in plan.sizes}
    with ExitStack() as stack:
        servers = {size: stack.enter_context(serve_own(one)) for size, one in installations.items()}
        latencies = {size: measure_latency(server.url, 10 * plan.rounds) for size, server in servers.items()}
        reads = measure_reads(plan, installations, servers)
        one, many = send_to(1, connections=1), send_to(1000, connections=1)
        posts = {size: partial(load_and_deliver, server.url, one) for size, server in servers.items()}
        runs = {"POST of one": alternate(plan.rounds, posts), **reads}
        bulks = {size: partial(load_and_deliver, server.url, many, seconds=2) for size, server in servers.items()}
        runs[MANY] = alternate(min(plan.rounds, 3), bulks)
    drains = {size: measure_drains(plan, one) for size, one in installations.items()}

    lines = []
    for size in plan.sizes:
        section = f"`python app.py`, {size:,} messages"
        bulk, deep, first = (runs[name][size] for name in (MANY, DEEP_PAGE, FIRST_PAGE))
        pages = {"there": middle(deep), "first": middle(first)}
        note = f"{plan.queued:,} messages; includes the start of `flask --app app worker`"
        lines += [
            Line(section, MANY, middle(bulk).per_second * 1000, "/s", Floor(">=", 8_000), {"requests": middle(bulk)}),
            Line(section, DRAIN, drains[size], "/s", Floor(">=", 5_000), note=note),
            Line(section, "POST until it is `sent`, idle", latencies[size], "ms", Floor("<=", 20), note="p50"),
            Line(section, "before at 90 %, to first page", compare_latencies(deep, first), "", Floor("<=", 1.3), pages),
        ]
    lines += measure_starts(plan, installations[plan.sizes[-1]])
    if len(plan.sizes) > 1:
        few, most = plan.sizes[0], plan.sizes[-1]
        section = f"`python app.py`, 1 connection, times slower from {few:,} to {most:,} messages"
        for name, seen in runs.items():
            loads = {f"{size:,}:": middle(seen[size]) for size in plan.sizes}
            floor = None if name == OFFSET else GROWTH
            lines.append(Line(section, name, compare_latencies(seen[most], seen[few]), "", floor, loads))
        lines.append(Line(section, DRAIN, drains[few] / drains[most], "", GROWTH))
    return lines


def measure_reads(
    plan: Plan, installations: Mapping[int, Installation], servers: Mapping[int, Serving]
) -> dict[str, dict[int, Sequence[Load]]]:
    """Return the runs for each request that only reads.

    The keys are the names of the requests and the sizes of the databases. Each run uses one connection.
    """
    arms: dict[tuple[str, int], partial[Load]] = {}
    for size, server in servers.items():
        ids = read_ids(installations[size].database, 5_000)
        by_id = get_one_of([f"/v1/messages/{message_id}" for message_id in ids], connections=1)
        arms[BY_ID, size] = partial(load, server.url, by_id)
        lists = {
            FIRST_PAGE: "",
            DEEP_PAGE: f"&before={ids[len(ids) // 10]}",
            "list by number, to": f"&to=%2B{BUSY_PHONE[1:]}",
            "list by number, one match": f"&to=%2B{phone(1)[1:]}",
            "list by phone, either side": f"&phone=%2B{BUSY_PHONE[1:]}",
            "list by state, error": "&state=error",
            OFFSET: f"&offset={size // 10 * 9}",
        }
        paths = {name: f"/v1/messages?limit=50{query}" for name, query in lists.items()}
        paths |= {"list of phones": "/v1/phones?limit=50"}
        arms |= {(name, size): partial(load, server.url, Request("", path, 1)) for name, path in paths.items()}
        page = partial(load, server.url, Request("", "/", 1), cookie=sign_in(server.port))
        arms["page of conversations", size] = page
    # The compared runs follow each other directly.
    seen = alternate(plan.rounds, {(name, size): arms[name, size] for name, _ in arms for size in servers})
    return {name: {size: seen[name, size] for size in servers} for name, _ in arms}


def measure_latency(url: str, times: int) -> float:
    """Return the median time from a request until its message is `sent`, in milliseconds."""
    taken = []
    for number in range(times):
        time.sleep(0.05)
        start = time.monotonic()
        message_id = call(f"{url}/v1/messages", {"to": phone(number), "body": "Hello"})["messages"][0]["id"]
        while call(f"{url}/v1/messages/{message_id}")["message"]["state"] != "sent":
            time.sleep(0.0005)
        taken.append((time.monotonic() - start) * 1000)
    return statistics.median(taken)


def measure_drains(plan: Plan, installation: Installation) -> float:
    """Return the messages that delivery alone delivers in a second. The figure is the median of three runs."""
    rates = []
    for _ in range(min(plan.rounds, 3)):
        fill(installation.database, plan.queued, waiting=True)
        start = time.monotonic()
        with deliver(installation):
            wait_until_sent(installation.database)
            rates.append(plan.queued / (time.monotonic() - start))
    return statistics.median(rates)


def measure_starts(plan: Plan, installation: Installation) -> list[Line]:
    """Return the time to the first answer, and the memory of an idle server."""
    starts = []
    for _ in range(max(plan.rounds, 5)):
        with serve_own(installation) as server:
            starts.append(server.first_answer)
    with serve_own(installation) as server:
        time.sleep(2)
        memory = server.measure_memory()
    section = f"`python app.py`, start, {plan.sizes[-1]:,} messages"
    note = f"median of {len(starts)}, from {min(starts):.2f} to {max(starts):.2f} s"
    return [
        Line(section, "first answer", statistics.median(starts), "s", Floor("<=", 0.6), note=note),
        Line(section, "memory, idle", memory, "MB", Floor("<=", 90), note="PSS of all processes"),
    ]
