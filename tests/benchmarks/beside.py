"""Compares Phonify with a bare Flask view on the same server, and with `python app.py` of another checkout."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from fill import read_ids
from load import Load, Request, alternate, compare_rates, get_one_of, load, load_and_deliver, middle, send_to
from plan import Plan
from servers import Stock, serve_bare, serve_own, serve_phonify
from table import Floor, Line

BARE, POST, BY_ID, LIST = ORDER = "bare view", "POST of one", "GET by id", "list of 50"
ON_GUNICORN = {POST: Floor(">=", 0.30), BY_ID: Floor(">=", 0.50), LIST: Floor(">=", 0.30)}
TO_FORMER = {POST: Floor(">=", 0.8), BY_ID: Floor(">=", 0.9), LIST: Floor(">=", 0.9)}


def compare_on(stock: Stock, plan: Plan) -> list[Line]:
    """Return the lines of Phonify on a stock server. On granian, they also compare with the former `python app.py`."""
    subject = plan.prepare(stock, plan.sizes[0], plan.checkout)
    with ExitStack() as servers:
        bare = servers.enter_context(serve_bare(stock, plan.folder / "bare.log"))
        sides = {"Phonify": (subject, servers.enter_context(serve_phonify(stock, subject)))}
        if stock == "granian" and plan.former:
            former = plan.prepare("former", plan.sizes[0], plan.former)
            sides["former"] = (former, servers.enter_context(serve_own(former)))
        arms = {("bare", BARE): partial(load, bare.url, Request(path="/hello"))}
        for side, (installation, server) in sides.items():
            paths = [f"/v1/messages/{message_id}" for message_id in read_ids(installation.database, 5_000)]
            arms |= {
                (side, POST): partial(load_and_deliver, server.url, send_to(1)),
                (side, BY_ID): partial(load, server.url, get_one_of(paths)),
                (side, LIST): partial(load, server.url, Request(path="/v1/messages?limit=50")),
            }
        for run in arms.values():
            run()  # warm-up
        # The compared runs follow each other directly.
        seen = alternate(plan.rounds, dict(sorted(arms.items(), key=lambda arm: ORDER.index(arm[0][1]))))

    def compare(section: str, name: str, other: tuple[str, str], floor: Floor | None) -> Line:
        sides: dict[str, Sequence[Load]] = {"Phonify": seen["Phonify", name], other[0]: seen[other]}
        figure, loads = compare_rates(*sides.values()), {side: middle(runs) for side, runs in sides.items()}
        return Line(section, name, figure, floor=floor, loads=loads)

    section = f"Phonify on {stock}, 16 connections, ratio to bare Flask on {stock}"
    floors = ON_GUNICORN if stock == "gunicorn" else {}
    lines = [compare(section, name, ("bare", BARE), floors.get(name)) for name in ON_GUNICORN]
    if stock == "granian":
        section = f"Phonify on granian, 16 connections, ratio to `python app.py` of {plan.former_name}"
        for name, floor in TO_FORMER.items():
            if plan.former:
                lines.append(compare(section, name, ("former", name), floor))
            else:
                lines.append(Line(section, name, None, floor=floor, note="give --former"))
    return lines
