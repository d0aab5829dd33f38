"""The table of trials and the list of verdicts in the guide to the webhook lab, as the code has them."""

import re

from phonify.lab.trials import TRIALS
from phonify.lab.verdicts import VERDICTS


def write_trials() -> str:
    """Return the table of trials: the name, and what the lab does."""
    rows = [f"| `{trial.name}` | {(trial.run.__doc__ or '').partition(chr(10))[0]} |" for trial in TRIALS]
    return "\n".join(["| trial | what the lab does |", "| --- | --- |", *rows])


def mark_code(text: str) -> str:
    """Return a text with backquotes around XML, JSON, options, commands, headers and content types."""
    code = r"<\w+>|\{[^}]*\}|--\w+|phonify \w+|webhook-\w+|Content-\w+|text/xml"
    return re.sub(code, lambda found: f"`{found[0]}`", text)


def write_verdicts() -> str:
    """Return the list of verdicts."""
    return "\n".join(
        f"- **`{one.name}`** ({one.severity}): {one.title}. *In production:* {mark_code(one.why)}"
        f" *What to do:* {mark_code(one.fix)}"
        for one in VERDICTS.values()
    )
