"""Renders the guides of `phonify/docs/` from Markdown. Links between guides lead to pages of this server."""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from flask import url_for
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_FOLDER = Path(__file__).parent.parent / "docs"
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_LINK = re.compile(r"([\w-]+)\.md(#[\w-]+)?")  # from one guide to another

GROUPS = {
    "Guides for users": (
        "api",
        "twilio",
        "gateways-twilio",
        "testing",
        "test-api",
        "rules",
        "webhooks",
        "lab",
        "gateways-android",
        "settings",
        "command-line",
        "operations",
        "deployment",
        "gateways-http",
        "changes",
    ),
    "Guides for developers": ("how-it-works", "gateways", "decisions", "benchmarks"),
}
NAMES = [name for names in GROUPS.values() for name in names]


class Guide(NamedTuple):
    """The content of a guide's page."""

    title: str
    sections: list[tuple[str, str]]  # the anchor and the title of each second-level heading
    html: Markup


def list_titles() -> dict[str, dict[str, str]]:
    """Return a dictionary for each group of guides. Each dictionary maps the name of a guide to its title."""
    return {group: {name: _read(name).partition("\n")[0][2:] for name in names} for group, names in GROUPS.items()}


def render_guide(name: str) -> Guide:
    """Render a guide. `name` must be in NAMES."""
    tokens = _MARKDOWN.parse(_read(name))
    headings = [(token, inline) for token, inline in pairwise(tokens) if token.type == "heading_open"]
    for heading, inline in headings:
        heading.attrSet("id", make_anchor(_text_of(inline)))
    for token in tokens:
        if token.type == "fence":  # a code block can be wide, so people must be able to scroll it with the keyboard
            token.attrSet("tabindex", "0")
        for part in token.children or []:
            if part.type == "link_open":
                part.attrSet("href", _find_address(str(part.attrGet("href"))))
    html = Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - our own files
    sections = [(str(heading.attrGet("id")), _text_of(inline)) for heading, inline in headings if heading.tag == "h2"]
    return Guide(_text_of(headings[0][1]), sections, html)


def make_anchor(title: str) -> str:
    """Return the anchor that GitHub makes for a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")


def _text_of(inline: Token) -> str:
    return "".join(part.content for part in inline.children or [])


def _find_address(link: str) -> str:
    """If a link leads to the file of a guide, return the URL of the guide's page. Return other links unchanged."""
    found = _LINK.fullmatch(link)
    return url_for("docs.show_guide", name=found[1]) + (found[2] or "") if found else link
