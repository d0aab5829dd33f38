"""Functions for the templates. They format texts, numbers, states and errors, and they write code samples."""

import json
import re
import shlex
from collections.abc import Iterable
from itertools import groupby
from math import ceil
from typing import Literal, NamedTuple

from markupsafe import Markup

from ..errors import Fault
from ..sms.links import find_links
from ..sms.numbers import group_number, parse_originator
from ..sms.one_time_codes import Code
from ..sms.segments import TextCheck
from ..storage.records import Message


class Piece(NamedTuple):
    """A part of a text, and the kind of this part."""

    kind: Literal["text", "link", "code", "match"]
    text: str


def cut_text(body: str, code: Code | None) -> list[Piece]:
    """Split a text into pieces: links, the one-time code, and other text."""
    marks = [(link.start, link.end, "link") for link in find_links(body)]
    if code is not None and not any(start < code.end and code.start < end for start, end, _ in marks):
        marks.append((code.start, code.end, "code"))
    return _cut(body, marks)


def cut_matches(body: str, *texts: str | None) -> list[Piece]:
    """Split a text into pieces. Each piece either matches the search or does not match."""
    searched = sorted((text for text in texts if text), key=len, reverse=True)
    if not searched:
        return [Piece("text", body)]
    found = re.finditer("|".join(map(re.escape, searched)), body, re.IGNORECASE)
    return _cut(body, [(match.start(), match.end(), "match") for match in found])


def _cut(body: str, marks: Iterable[tuple[int, int, str]]) -> list[Piece]:
    pieces, position = [], 0
    for start, end, kind in sorted(marks):
        if start > position:
            pieces.append(Piece("text", body[position:start]))
        pieces.append(Piece(kind, body[start:end]))  # type: ignore[arg-type]
        position = end
    if position < len(body):
        pieces.append(Piece("text", body[position:]))
    return pieces


def cut_wide(segment: str, check: TextCheck) -> list[tuple[bool, str]]:
    """Split a segment into pieces. For each piece, return a pair: a flag, and the text of the piece.

    The flag is True if the characters of the piece are not in GSM-7.
    """
    wide = {found.character[-1] for found in check.wide}  # for a letter and a separate accent, only the accent
    return [(is_wide, "".join(run)) for is_wide, run in groupby(segment, wide.__contains__)]


def list_groups(number: str) -> list[str]:
    """Split a phone number into groups of digits. For any other text, return a list with only this text."""
    grouped = group_number(number)
    return grouped.split(" ") if grouped != number else [number]


def cut_number(number: str, *searched: str | None) -> list[list[Piece]]:
    """Split a number into groups of digits, and mark the digits that match the search.

    Each group is a list of pieces. A match can begin in one group and end in another group.
    """
    groups, pieces = [], cut_matches(number, *searched)
    for group in list_groups(number):
        cut, left = [], len(group)
        while left:
            kind, text = pieces.pop(0)
            cut.append(Piece(kind, text[:left]))
            if len(text) > left:
                pieces.insert(0, Piece(kind, text[left:]))
            left -= len(cut[-1].text)
        groups.append(cut)
    return groups


def describe_phone(number: str) -> tuple[str | None, str | None]:
    """Return the country and the carrier of a phone. For an unknown value, return None."""
    try:
        known = parse_originator(number)
    except ValueError:
        return None, None
    return known.country, known.carrier


def other_side(message: Message) -> str:
    """Return the phone's number. An outbound message goes to the phone. An inbound message comes from the phone."""
    return message.to_number if message.direction == "outbound" else message.origin_number


def own_side(message: Message) -> str:
    """Return the app's number. An outbound message comes from the app. An inbound message goes to the app."""
    return message.origin_number if message.direction == "outbound" else message.to_number


def name_state(message: Message) -> str:
    """Return the text that a page shows for a message's state.

    For an inbound message in the state `sent`, the text is `received`. For an inbound message in another state, the
    text also contains the state. For example, the text `received, webhook error` means that the webhook has not
    accepted the message.
    """
    if message.direction == "inbound":
        return "received" if message.state == "sent" else f"received, webhook {message.state}"
    return "scheduled" if message.is_scheduled else message.state


def is_undelivered(message: Message) -> bool:
    """Return True if the state is `sent` and a receipt says that the phone did not get the message."""
    return message.state == "sent" and message.receipt_status == "undelivered"


def explain(message: Message) -> str | None:
    """Explain why a message has failed. Returns None if the message has not failed.

    A message has failed if it has an error type, or if its receipt says `undelivered`.
    """
    if message.error_type:
        return Fault(message.error_type).title
    return "A receipt says that the phone did not get the message." if is_undelivered(message) else None


def show_duration(seconds: float) -> str:
    """Write a duration in hours and minutes, rounded up to whole minutes."""
    hours, minutes = divmod(ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def write_time(at: str, *, seconds: bool = False) -> Markup:
    """Write a time in UTC as HTML, without fractions of a second. The script of the page shows the local time."""
    return Markup('<time datetime="{}">{}</time>').format(at, at[: 19 if seconds else 16].replace("T", " "))


def write_curl(address: str, key: str, message: Message) -> str:
    """Return a curl command that sends the same message again.

    If a phone sent the message, the command simulates a new message from this phone.
    """
    if message.direction == "inbound":
        path = "/sandbox/inbound"
        arguments = {"from": message.origin_number, "to": message.to_number, "body": message.body}
    else:
        path = "/v1/messages"
        arguments = {"to": message.to_number, "origin": message.origin_number, "body": message.body}
    data = "".join(f" --data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in arguments.items())
    return f"curl {shlex.quote(address + path)} -u {shlex.quote(f'{key}:')}{data}"


def list_samples(address: str, key: str) -> list[tuple[str, str]]:
    """Return example programs that send a message. Each pair contains the programming language and the code."""
    url, body = f"{address}/v1/messages", "Hello from Phonify. Your code is 424242."
    arguments = json.dumps({"to": "+14560000000", "body": body})
    curl = f"curl {url} -u {shlex.quote(f'{key}:')} \\\n  -d to=+14560000000 \\\n  -d body='{body}'"
    python = f"""\
import json, urllib.request

request = urllib.request.Request(
    "{url}?api_key={key}",
    data=json.dumps({arguments}).encode(),
    headers={{"Content-Type": "application/json"}},
)
print(urllib.request.urlopen(request).read().decode())"""
    javascript = f"""\
const response = await fetch("{url}", {{
  method: "POST",
  headers: {{
    "Content-Type": "application/json",
    Authorization: "Basic " + btoa("{key}:"),
  }},
  body: JSON.stringify({arguments}),
}});
console.log(await response.json());"""
    ruby = f"""\
require "json"
require "net/http"

response = Net::HTTP.post_form(
  URI("{url}"),
  "api_key" => "{key}", "to" => "+14560000000", "body" => "{body}"
)
puts JSON.parse(response.body)"""
    return [("curl", curl), ("Python", python), ("JavaScript", javascript), ("Ruby", ruby)]
