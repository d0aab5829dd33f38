"""Finds the one-time code in the text of a message.

The last line of a message can bind a one-time code to a web site. WICG's specification "Origin-bound one-time codes
delivered via SMS" defines the format. In other messages, the code is the number that is nearest to a word such as
"code", "OTP" or "TAN". The words are in `code_words.toml`. A code can have digits and capital letters. The time of each
search is proportional to the length of the text.
"""

import functools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from .code_words import CURRENCY, UNIT, find_kind, fold, load_patterns, lower, mark_amounts

# A host is a name with a dot, or localhost. So "@alice #summer" is not a code. The host must not have a port.
# The line can have a second host after the code. Other text after the code is ignored, as the specification says.
_HOST = r"((?:[\w-]+\.)+[\w-]+|localhost)"
_LAST_LINE = re.compile(rf"@{_HOST} #([^ \t\n\f\r]+)(?: @{_HOST}(?![^ \t\n\f\r]))?")

_WHOLE = r"(?: [0-9]{1,3} (?: [., '\u2019][0-9]{3} (?![0-9]) ){1,4} | [0-9]+ )"
_AMOUNT = rf"{_WHOLE} (?: [.,][0-9]+ )?"
_CURRENCY = rf"[{CURRENCY}$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20cf\ufdfc]"
_UNIT = rf"[{UNIT}%]"
_HYPHENS = r"[-\u2011\u2013]"
_NEXT_GROUP = rf"[ \u00a0\u202f] [0-9]{{1,4}} (?! [A-Za-z0-9] | [.,:/-][0-9] | \s?{_UNIT} )"

# This pattern finds the parts of a text that contain digits. The text must come from `mark_amounts`. Most branches of
# the pattern find texts that are not codes: links, amounts, phone numbers and masked accounts. The group `token`
# contains a possible code.
_NUMBERS = re.compile(
    rf"""(?: https?:// | \bwww\. ) \S+
    | (?<![a-z0-9.-]) [a-z0-9][a-z0-9.-]{{0,80}} \. [a-z]{{2,10}} / \S*
    | {_CURRENCY}+ \s? {_AMOUNT}
    | (?<![A-Za-z0-9]) [A-Z] [ ]? [0-9]{{1,3}} (?: [0-9]* | (?:,[0-9]{{3}})+ ) \.[0-9]{{2}} (?![0-9])
    | \+ (?: [0-9]{{8,15}} (?![0-9]) | [0-9]{{1,7}} (?: (?:[ /.-]|[ ]?[()][ ]?) [0-9]+ ){{1,5}} )
    | (?<![A-Za-z0-9]) [0-9]+ (?: [*•…] | [Xx]{{2}} ) [Xx*•…]* [0-9]+
    | (?: [Xx*•…]{{2,10}}[ -]? | \.{{2,3}} | [*•…] ) [0-9]{{4}} (?![0-9*])
    | (?<![A-Za-z0-9_+/@]) (?<![A-Z0-9]{_HYPHENS})
      (?: {_AMOUNT} \s? {_CURRENCY} | {_WHOLE} \s? {_UNIT}
        | [0-9]+ (?: [.,:/] [0-9]+ (?! [0-9] | \s?{_UNIT} ) ){{1,8}}
        | \(?0[0-9]{{2,4}}\)? [ /-] [0-9]{{5,8}} (?![0-9])
        | (?: [A-Z]{{1,3}}{_HYPHENS} (?= [0-9]{{4}} | [0-9]{{3}}{_HYPHENS} ) )?
          (?P<token> [0-9]{{1,4}} (?: {_NEXT_GROUP} ){{1,12}} | [A-Z0-9]+ (?: {_HYPHENS} [A-Z0-9]+ )* )
          (?! [A-Za-z0-9_@] | {_HYPHENS}[A-Z0-9] ) )""",
    re.VERBOSE,
)
# Letters and digits right after "code is", in upper or lower case.
_NAMED = re.compile(
    rf"""(?= [A-Za-z-]*[0-9] ) (?= [A-Z0-9-]*[a-z] ) (?! [0-9]+(?:st|nd|rd|th)\b )
    (?P<token> [A-Za-z0-9]+ (?: {_HYPHENS}[A-Za-z0-9]+ )* ) (?! [\w@] | [./:]\w )""",
    re.VERBOSE,
)
_DIGITS = re.compile("[0-9]")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]")
_YEAR_OR_DATE = re.compile(
    r"(?:19|20)[0-9]{2} (?: \W (?:19|20)[0-9]{2} )? | (?:0[1-9]|[12][0-9]|3[01])-(?:0[1-9]|1[0-2])-[0-9]{2}", re.VERBOSE
)
_OFFER = re.compile(r"[A-Z]{3,}[0-9]{2,4}")  # SAVE20
_COLON = "[:：=]"  # noqa: RUF001
_SENTENCE_END = re.compile(r"[.!?]\s|[。！？]|\n+")  # noqa: RUF001
_FARTHEST = 100  # characters: the highest distance between a word and its code
_LINKED = 25  # characters; if "is" stands between a word and a code, this value is subtracted from their distance


class Code(NamedTuple):
    """A one-time code in a text. Its place is `text[start:end]`."""

    code: str  # without separators, as a person types it
    start: int
    end: int


class OriginBoundCode(NamedTuple):
    """A one-time code that belongs to a web site. The code is `text[start:end]`, without its `#`."""

    host: str
    code: str
    start: int
    end: int
    embedded_host: str | None = None  # if the code is for a page in a frame: the host of this page


def find_origin_bound_code(text: str) -> OriginBoundCode | None:
    """Return the code if the last line has the WICG format `@example.com #123456`. Text after the code is ignored."""
    if match := _LAST_LINE.match(text, _find_last_line(text)):
        return OriginBoundCode(match[1], match[2], *match.span(2), match[3])
    return None


def find_bound_line(text: str) -> str | None:
    """Return the last line if it begins with `@`. The function does not check the rest of the line."""
    line = text[_find_last_line(text) :]
    return line if line.startswith("@") else None


def _find_last_line(text: str) -> int:
    return max(text.rfind("\n"), text.rfind("\r")) + 1


def find_code(text: str) -> Code | None:
    """Return the one-time code of a message, or None.

    The last line of a text can name a web site and a code, as in `@example.com #482193`. Such a code can have any
    characters except spaces. Each other code has 4 to 10 characters. These characters are digits, or a mix of digits
    and capital letters. If a code stands directly after "code is" or "code:", the code can have lowercase letters. The
    digits of all writing systems become ASCII digits.
    """
    if bound := find_origin_bound_code(text):
        return Code(bound.code, bound.start, bound.end)
    folded, places = fold(text)
    best = _find_best(folded)
    return best and Code(best.code, places[best.start], places[best.end])


def _find_best(text: str) -> Code | None:
    if not _DIGITS.search(text):
        return None  # this saves time for most texts
    numbers = list(_NUMBERS.finditer(mark_amounts(text)))
    words = _Words(text)
    best, nearest = None, _FARTHEST
    for number in [*numbers, *words.list_named(numbers)]:
        code = _remove_separators(number["token"] or "")
        if code is None:
            continue
        start, end = number.span("token")
        distance = words.measure_distance(start, end, code) + _count_doubts(number["token"], code)
        if number.start() in words.label_ends:
            distance += _FARTHEST
        if distance < nearest:
            best, nearest = Code(code, start, end), distance
    return best


class _Words:
    """Finds words such as "code" in a text. These words say what a number means."""

    def __init__(self, text: str) -> None:
        patterns = load_patterns()
        self._text = text
        self._small = small = lower(text)
        self._links = _compile_links()
        found = [(find_kind(patterns, match, text), match.span()) for match in patterns.words.finditer(small)]
        self._naming = {kind: [span for one, span in found if one == kind] for kind in ("secret", "code")}
        self._sentence_ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        self._offers = {self._find_sentence(span[0]) for kind, span in found if kind == "promotion"}
        self.label_ends = {
            between.end()
            for kind, (_, end) in found
            if kind == "label" and (between := patterns.between.match(small, end))
        }

    def list_named(self, numbers: Sequence[re.Match[str]]) -> Iterator[re.Match[str]]:
        """Yield the words that follow directly after "code is" or "code:".

        If a part of such a word is already in `numbers`, the word is skipped.
        """
        taken = [number.span() for number in numbers]
        for _, end in chain(*self._naming.values()):
            lead = self._links.right_after.match(self._small, end)
            named = lead and _NAMED.match(self._text, lead.end())
            if named and not any(start < named.end() and named.start() < stop for start, stop in taken):
                yield named

    def measure_distance(self, start: int, end: int, code: str) -> int:
        """Return the distance between a possible code and the nearest word that names a code, such as "password".

        The unit of the distance is characters. For each sentence that ends between the possible code and the word, the
        function adds 20 characters to the distance.
        """
        return min(
            (self._measure(kind, span, start, end, code) for kind, span in self._list_nearest(start, end)),
            default=_FARTHEST,
        )

    def _list_nearest(self, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
        for kind, spans in self._naming.items():
            before = bisect_right(spans, start, key=lambda span: span[1]) - 1
            if before >= 0 and start - spans[before][1] < _FARTHEST:
                yield kind, spans[before]
            after = bisect_left(spans, end, key=lambda span: span[0])
            if after < len(spans) and spans[after][0] - end < _FARTHEST:
                yield kind, spans[after]

    def _measure(self, kind: str, span: tuple[int, int], start: int, end: int, code: str) -> int:
        follows = span[0] >= end
        gap = self._small[end : span[0]] if follows else self._small[span[1] : start]
        linked = self._links.follow.match(gap) if follows else self._links.before.search(gap)
        if kind == "code" and self._offers and not (linked and self._is_apart_from_offers(start, span[0], code)):
            return _FARTHEST
        return len(gap) + 20 * len(_SENTENCE_END.findall(gap)) - (_LINKED if linked else 0) + (3 if follows else 0)

    def _is_apart_from_offers(self, number: int, word: int, code: str) -> bool:
        sentences = {self._find_sentence(number), self._find_sentence(word)}
        return sentences.isdisjoint(self._offers) and not _OFFER.fullmatch(code)

    def _find_sentence(self, position: int) -> int:
        return bisect_right(self._sentence_ends, position)


class _Links(NamedTuple):
    """Patterns for the text between a word and its code."""

    before: re.Pattern[str]  # at the end of "code for you is "
    right_after: re.Pattern[str]  # "code is ", without anything in between
    follow: re.Pattern[str]  # "1234 is my code"


@functools.cache
def _compile_links() -> _Links:
    is_ = load_patterns().is_
    lead = rf"(?:{is_}|{_COLON})\W{{0,4}}"
    return _Links(re.compile(rf"{lead}\Z"), re.compile(rf"\W{{0,4}}{lead}"), re.compile(rf"\W{{0,4}}{is_}"))


def _remove_separators(token: str) -> str | None:
    """Remove the separators from a token such as `123 456`. Returns None if the token does not look like a code."""
    groups = _SEPARATOR.split(token)
    sizes = {len(group) for group in groups}
    code = "".join(groups)
    if not 4 <= len(code) <= 10 or code.isalpha():
        return None
    grouped = len(sizes) == 1 and (sizes == {1} or (len(groups) <= 3 and len(code) >= 6))
    return code if len(groups) == 1 or grouped else None


def _count_doubts(token: str, code: str) -> int:
    """Return how doubtful it is that a token is a code. If the token looks like a code, return 0.

    The result is a number of characters. The caller adds this number to the distance between the token and the nearest
    word.
    """
    if _YEAR_OR_DATE.fullmatch(token):
        return 40
    return 20 if len(code) > 8 or not code.isdigit() else 0
