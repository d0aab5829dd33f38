"""Tests of the guides under /docs: the server serves all guides, and all their links work.

test_docs_page.py has the tests in a browser.
"""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from flask.testing import FlaskClient

import phonify

NAMES = sorted(path.stem for path in (Path(phonify.__file__).parent / "docs").glob("*.md"))


def read(name: str) -> str:
    """Return the Markdown of a guide."""
    return (Path(phonify.__file__).parent / "docs" / f"{name}.md").read_text(encoding="utf-8")


def get(client: FlaskClient, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, f"{address}; is a new guide missing in GROUPS of phonify/web/guides.py?"
    assert response.mimetype == "text/html"
    return response.get_data(as_text=True)


def links_of(page: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'<a [^>]*href="([^"]+)"', page)]


def ids_of(page: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', page)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


@pytest.mark.parametrize("name", NAMES)
def test_each_guide_is_served_without_a_key(anonymous: FlaskClient, name: str) -> None:
    page = get(anonymous, f"/docs/{name}")
    title = read(name).partition("\n")[0].removeprefix("# ")
    assert f"<title>{title} – Phonify</title>" in page
    assert [text_of(found) for found in re.findall(r"<h1.*?</h1>", page)] == [title]


@pytest.mark.parametrize("address", ["/docs", *(f"/docs/{name}" for name in NAMES)])
def test_the_reference_and_each_guide_link_to_all_guides(anonymous: FlaskClient, address: str) -> None:
    assert {f"/docs/{name}" for name in NAMES} <= set(links_of(get(anonymous, address)))


def test_each_guide_links_to_the_reference(anonymous: FlaskClient) -> None:
    assert all("/docs" in links_of(get(anonymous, f"/docs/{name}")) for name in NAMES)


def test_every_link_of_a_guide_leads_to_a_page_and_an_anchor_that_exist(anonymous: FlaskClient) -> None:
    links = {
        (name, link): urldefrag(urljoin(f"/docs/{name}", link))
        for name in NAMES
        for link in links_of(get(anonymous, f"/docs/{name}"))
    }
    own = {found: target for found, target in links.items() if not target.url.startswith("https://")}
    pages = {}
    for address in {target.url for target in own.values()}:
        with anonymous.get(address) as response:
            pages[address] = response.status_code, ids_of(response.get_data(as_text=True))
    broken = [
        found
        for found, (address, anchor) in own.items()
        if pages[address][0] not in (200, 303) or (anchor and anchor not in pages[address][1])
    ]  # 303: the inbox requires a key
    assert broken == []
    assert len(own) > len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_between_guides_stays_on_this_server(anonymous: FlaskClient, name: str) -> None:
    expected = [f"/docs/{file}{anchor}" for file, anchor in re.findall(r"\]\(([\w-]+)\.md(#[\w-]+)?\)", read(name))]
    shown = get(anonymous, f"/docs/{name}").split("<main", 1)[1]
    assert [link for link in links_of(shown) if link.startswith("/docs/")] == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_id_is_on_a_page_twice(anonymous: FlaskClient, name: str) -> None:
    ids = ids_of(get(anonymous, f"/docs/{name}"))
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_all_rows_of_tables_and_all_blocks_of_code_are_rendered(anonymous: FlaskClient, name: str) -> None:
    page, fences = get(anonymous, f"/docs/{name}"), r"^( *)```\w*\n(.*?)^\1```$"
    rows = re.findall(r"^\|(?! ---)", re.sub(fences, "", read(name), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    assert page.count("<tr>") == len(rows)
    blocks = [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, code in re.findall(fences, read(name), re.MULTILINE | re.DOTALL)
    ]
    assert [unescape(code) for code in re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", page, re.DOTALL)] == blocks


def test_a_heading_has_the_anchor_that_it_has_in_the_repository(anonymous: FlaskClient) -> None:
    page = get(anonymous, "/docs/operations")
    assert '<h3 id="what-is-not-protected">What is not protected</h3>' in page
    assert '<a href="#what-is-not-protected">' not in page  # the table of contents has only the sections
    assert '<a href="#reverse-proxies">Reverse proxies</a>' in page


def test_a_guide_has_the_headers_of_the_inbox_and_loads_nothing_from_elsewhere(anonymous: FlaskClient) -> None:
    response = anonymous.get("/docs/api")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    page = response.get_data(as_text=True)
    assert all(link.startswith("/inbox/static/") for link in re.findall(r'(?:src|<link [^>]*href)="([^"]+)"', page))
    assert " style=" not in page


@pytest.mark.parametrize("name", ["unknown", "api.md", "..%2fREADME", "<b>"])
def test_what_is_no_guide_is_not_found(anonymous: FlaskClient, name: str) -> None:
    response = anonymous.get(f"/docs/{name}")
    assert response.status_code == 404
    assert name not in response.get_data(as_text=True)
