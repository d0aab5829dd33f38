"""Tests of links: the punctuation of the sentence is not part of a link."""

import pytest

from phonify.sms.links import Link, find_links


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("Hello", []),
        ("See https://example.com/a?b=c&d=%20e#f", ["https://example.com/a?b=c&d=%20e#f"]),
        ("HTTP://EXAMPLE.COM and https://example.org.", ["HTTP://EXAMPLE.COM", "https://example.org"]),
        ("(https://example.com/x), “https://example.com/y”!", ["https://example.com/x", "https://example.com/y"]),
        ("<https://example.com/a>\nhttps://example.com/a", ["https://example.com/a", "https://example.com/a"]),
        ("example.com, ftp://example.com, https:// and mailto:a@example.com", []),
    ],
)
def test_the_links_of_a_text_are_found_in_their_order(text: str, urls: list[str]) -> None:
    assert [link.url for link in find_links(text)] == urls


def test_a_link_says_where_it_is() -> None:
    assert find_links("At https://a.example/ now") == [Link("https://a.example/", 3, 21)]
