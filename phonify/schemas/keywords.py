"""The keyword settings of an account: its own opt-out keywords, and its replies to keywords."""

from collections.abc import Collection, Mapping, Sequence

from marshmallow import ValidationError

from ..errors import MAX_BODY, Fault, InvalidRequest
from ..sms.keywords import find_keyword, normalize_keyword
from ..storage.records import KeywordReplies
from .fields import read_text

MOST_KEYWORDS = 20
MAX_KEYWORD = 40  # characters
REPLIES = ("stop_reply", "start_reply", "help_reply")


def read_keyword_settings(
    stop_keywords: Sequence[str], replies: Mapping[str, str], *, max_body: int = MAX_BODY
) -> KeywordReplies:
    """Check and return the settings. Raises InvalidRequest, which lists all errors.

    The constant `REPLIES` contains the allowed keys of `replies`. An empty text means no reply. A reply has at
    most `max_body` characters. If `stop_keywords` contains built-in keywords, the result leaves them out.
    """
    faults = []
    keywords = {normalize_keyword(given): given.strip() for given in stop_keywords if given.strip()}
    if len(keywords) > MOST_KEYWORDS or not all(map(_is_allowed, keywords.values())):
        faults.append(Fault("invalid_keyword", "stop_keywords"))
    read: dict[str, str | None] = {}
    for name in REPLIES:
        text = replies.get(name, "")
        try:
            read[name] = _read_reply(text, keywords.values(), max_body) if text.strip() else None
        except ValidationError as error:
            faults += [Fault(type_, name) for type_ in error.messages]
    if faults:
        raise InvalidRequest(faults)
    return KeywordReplies(tuple(own for own in keywords.values() if find_keyword(own) is None), **read)


def _is_allowed(keyword: str) -> bool:
    # No commas, because the settings page uses commas between keywords.
    return (
        len(keyword) <= MAX_KEYWORD
        and keyword.isprintable()
        and "," not in keyword
        and normalize_keyword(keyword) != ""
        and find_keyword(keyword) in (None, "stop")
    )


def _read_reply(text: str, own_stop_keywords: Collection[str], max_body: int) -> str:
    if find_keyword(text, list(own_stop_keywords)) is not None:
        # A phone that sends each text back would get the same reply again and again.
        raise ValidationError("reply_is_keyword")
    return read_text(text, max_body=max_body)
