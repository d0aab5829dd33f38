"""The error texts of the client. `client.py` needs this file. The server sends both as one file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOST_PROBLEMS = 5


def write_failure(
    came: Sequence[object], misses: Sequence[Sequence[str]], problems: Sequence[Mapping[str, Any]], *, seconds: float
) -> str:
    """Describe the messages that arrived. Then list the latest problems of the server.

    `seconds` is the maximum age of a listed problem, in seconds. `misses` has a list of reasons for each message. The
    reasons say why the message does not match. If the list is empty, the message matches. In this case, an earlier call
    has already returned the message.
    """
    lines = ["No message arrived. Does the app use the `url` and the `api_key` of this test?"]
    if came:
        lines, fewest = ["These messages arrived:"], min(map(len, misses))
        for message, missed in zip(came, misses, strict=True):
            closest = "closest, but " if len(missed) == fewest else ""
            lines.append(f"  {message!r} {closest}{', '.join(missed) or 'already returned'}")
    texts = [problem["text"] for problem in problems if problem["seconds_ago"] <= seconds][-_MOST_PROBLEMS:]
    return "\n".join([*lines, *(["The server reports problems:"] if texts else []), *(f"  {text}" for text in texts)])


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if a given argument is unknown. `known` lists the parameters of the function."""
    if unknown := [name for name in given if name not in known]:
        raise TypeError(f"{function}() has no argument {', '.join(map(repr, unknown))}. Use {', '.join(known)}.")


def explain_error(error: Mapping[str, str], arguments: Mapping[str, object]) -> str:
    """Describe an error of the server in one sentence. The first rule of a scenario has the number 1."""
    param, text = error.get("param", ""), error["title"]
    if param in arguments and error["type"] in ("invalid_msisdn", "invalid_originator"):
        text += f" {arguments[param]!r} is not a valid number."
    if match := re.fullmatch(r"rules\[([0-9]+)\]\.?(.*)", param, re.DOTALL):
        param = f"rule {int(match[1]) + 1}" + (f": {match[2]}" if match[2] else "")
    return f"{param}: {text}" if param else text
