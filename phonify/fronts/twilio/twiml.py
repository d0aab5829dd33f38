"""TwiML: the instructions in an app's answer to a received message."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urljoin

from ...outgoing.http_client import Answer

MOST_TWIML = 64 * 1024  # bytes
_XML_TYPES = ("text/xml", "application/xml", "text/html", "")


class Reply(NamedTuple):
    """A message to send. If `to` is None, the reply goes to the sender of the received message."""

    body: str
    media: tuple[str, ...]
    to: str | None
    origin: str | None
    callbacks: tuple[str, ...]  # URLs that get each new status


class Redirect(NamedTuple):
    """The URL of the next document. Phonify fetches this document, and ignores the rest of the current document."""

    url: str
    method: str


class Document(NamedTuple):
    """The instructions in the app's answer. Phonify sends the replies first, and then follows the redirect."""

    replies: tuple[Reply, ...] = ()
    redirect: Redirect | None = None
    warnings: tuple[str, ...] = ()  # each warning begins with an error code of Twilio, such as 12200


class TwimlFault(Exception):
    """The answer of an app can't be used. `code` is Twilio's code for the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


def read_answer(answer: Answer, url: str) -> Document:
    """Read the TwiML in an answer of the app. `url` is the URL of the request.

    Raises TwimlFault if the answer can't be used.
    """
    if not 200 <= answer.status < 300:
        raise TwimlFault(11200, f"the app answered with status {answer.status}")
    if len(answer.text.encode()) > MOST_TWIML:
        raise TwimlFault(11750, "the document is larger than 64 KiB")
    if not answer.complete:
        raise TwimlFault(11200, "the answer of the app ended too early")
    if not answer.text.strip():
        return Document()
    mime_type = answer.content_type.partition(";")[0].strip().lower()
    if mime_type == "text/plain":
        return Document((Reply(answer.text.strip(), (), None, None, ()),))
    if mime_type not in _XML_TYPES:
        raise TwimlFault(12300, f"the content type is {mime_type}, but it must be text/xml or application/xml")
    return _read_document(answer.text, url)


def _read_document(text: str, url: str) -> Document:
    if "<!DOCTYPE" in text:
        raise TwimlFault(12100, "the document must not have a DOCTYPE")
    try:
        root = ET.fromstring(text.strip())  # noqa: S314 - without a DOCTYPE, there are no entities to expand
    except (ET.ParseError, ValueError) as error:
        raise TwimlFault(12100, f"the document is not XML: {error}") from error
    if root.tag != "Response":
        raise TwimlFault(12100, "the document's root is not <Response>")
    replies, warnings = [], []
    redirect = None
    for verb in root:
        match verb.tag:
            case "Message":
                replies.append(_read_message(verb, url))
            case "Redirect":
                method = (verb.get("method") or "POST").upper()
                redirect = Redirect(_join(url, (verb.text or "").strip()), method)
                break
            case _:
                warnings.append(f"12200: the verb <{verb.tag}> is unknown")
    return Document(tuple(replies), redirect, tuple(warnings))


def _read_message(verb: ET.Element, url: str) -> Reply:
    callbacks = [_join(url, given.strip()) for name in ("action", "statusCallback") if (given := verb.get(name))]
    media = [(one.text or "").strip() for one in verb.iter("Media")]
    return Reply(
        "".join(_list_texts(verb)).strip(),
        tuple(one for one in media if one),
        verb.get("to"),
        verb.get("from"),
        tuple(dict.fromkeys(callbacks)),
    )


def _join(base: str, url: str) -> str:
    """Make a URL absolute, and return it. If the URL is not valid, return it unchanged."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def _list_texts(verb: ET.Element) -> Iterator[str]:
    """Yield the text that is directly inside a <Message> element, and the text of its <Body> elements."""
    yield verb.text or ""
    for child in verb:
        if child.tag == "Body":
            yield "".join(child.itertext())
        yield child.tail or ""
