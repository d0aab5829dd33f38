"""Divides lists into pages, as Twilio does. A page has a size, a token and the addresses of other pages."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import request

from ...clock import format_time, parse_time
from ...schemas.twilio import read_message_sid
from .errors import TwilioError
from .parameters import Parameters

PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000
_TOKEN = re.compile(r"P([AB])((?:SM|MM)[0-9a-f]{32})")
_PAGING = ("PageSize", "Page", "PageToken")


class Page(NamedTuple):
    """The requested page of a list."""

    number: int
    size: int
    before: str | None = None  # the id of the last message of the previous page
    after: str | None = None  # the id of the first message of the next page


def read_page(given: Parameters) -> Page:
    """Read the page that a request asks for. Raises TwilioError if a parameter is not valid."""
    size = _read_whole(given, "PageSize", PAGE_SIZE)
    number = _read_whole(given, "Page", 0)
    page = Page(number, min(max(size, 1), MAX_PAGE_SIZE))
    if not (token := given.get("PageToken")):
        return page
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise TwilioError(20001, "The page token is not valid.")
    message_id = read_message_sid(found[2])
    return page._replace(after=message_id) if found[1] == "B" else page._replace(before=message_id)


def _read_whole(given: Parameters, name: str, default: int) -> int:
    text = given.get(name)
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,9}", text):
        raise TwilioError(20001, f"{name} must be a whole number.")
    return int(text)


def read_dates(given: Parameters, name: str) -> tuple[str | None, str | None]:
    """Read the filters `NAME`, `NAME<` and `NAME>`.

    All three filters include the given time or day. For example, `NAME<` means: at the given time or earlier.

    Returns two times: the beginning and the end of a period. The period includes its beginning, but not its end. None
    means that there is no limit.
    """
    first, until = None, None
    for suffix in ("", "<", ">"):
        text = given.get(f"{name}{suffix}")
        if text:
            begin, end = _read_moment(name, text)
            first = max(first or begin, begin) if suffix in ("", ">") else first
            until = min(until or end, end) if suffix in ("", "<") else until
    return first, until


def _read_moment(name: str, text: str) -> tuple[str, str]:
    """Return the time when a period begins, and the time when this period ends.

    If `text` is a date, the period is this day. If `text` contains a time of day, the period is the second that
    contains this time.
    """
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            begin, length = datetime.combine(date.fromisoformat(text), time(), UTC), timedelta(days=1)
        else:
            begin, length = parse_time(text.replace(" ", "+")).replace(microsecond=0), timedelta(seconds=1)
        return format_time(begin), format_time(begin + length)
    except (ValueError, OverflowError) as error:
        raise TwilioError(20001, f"{name} must be a date, or a time in ISO 8601.") from error


def envelope(page: Page, sids: Sequence[str], *, has_next: bool) -> dict[str, Any]:
    """Return all fields of a page, except the items. `sids` are the SIDs of the items."""
    filters = [(name, value) for name, value in request.args.items(multi=True) if name not in _PAGING]
    next_uri = previous_uri = None
    if sids and has_next:
        next_uri = _write_uri(filters, page, page.number + 1, f"PA{sids[-1]}")
    if sids and page.number > 0:
        previous_uri = _write_uri(filters, page, page.number - 1, f"PB{sids[0]}")
    start = page.number * page.size
    return {
        "page": page.number,
        "page_size": page.size,
        "start": start,
        "end": max(start, start + len(sids) - 1),
        "uri": request.full_path.rstrip("?"),
        "first_page_uri": _write_uri(filters, page, 0),
        "next_page_uri": next_uri,
        "previous_page_uri": previous_uri,
    }


def _write_uri(filters: Sequence[tuple[str, str]], page: Page, number: int, token: str | None = None) -> str:
    query = [*filters, ("PageSize", str(page.size)), ("Page", str(number))]
    if token is not None:
        query.append(("PageToken", token))
    return f"{request.path}?{urlencode(query)}"
