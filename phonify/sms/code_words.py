"""Reads the words about one-time codes from `code_words.toml`, and makes patterns from them.

Convert a text with `fold` and `lower` before you search it with the patterns. The patterns are made at their first use,
because it takes time to make them.
"""

import functools
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("code_words.toml")
KINDS = ("promotion", "label", "secret", "code")  # if a word is of several kinds, the first one counts
CURRENCY, UNIT = "\ue000", "\ue001"  # characters for private use; no language has them
_SPACE = "[ \u00a0\u2010\u2011-]?"
_LONGEST_PIECE = 8  # characters: a letter and its accents
# A word with at least this number of letters is also found without its accents. If a shorter word loses its accents, it
# can become a different word.
_WITHOUT_MARKS = 4
_NO_MARKS = str.maketrans({"ł": "l", "đ": "d", "ø": "o", "æ": "ae", "ß": "ss", "ð": "d", "þ": "th"})

# Some writing systems have spaces between words. Each item has the letters of one writing system. A word ends before
# the first character that is not in the same item.
_SCRIPTS = (
    "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff",  # Latin
    "\u0370-\u03ff\u1f00-\u1fff",  # Greek
    "\u0400-\u052f",  # Cyrillic
    "\u0530-\u058f",  # Armenian
    "\u0590-\u05ff",  # Hebrew
    "\u0600-\u065f\u066e-\u06ef\u06fa-\u06ff\u0750-\u077f",  # Arabic, without its digits
    *(
        f"{chr(block)}-{chr(block + 0x65)}{chr(block + 0x70)}-{chr(block + 0x7F)}"
        for block in range(0x900, 0xE00, 0x80)
    ),
    "\u10a0-\u10ff",  # Georgian
    "\u1200-\u137f",  # Ethiopic
)
_LETTERS = [(re.compile(f"[{letters}]"), letters) for letters in _SCRIPTS]


class Patterns(NamedTuple):
    """The patterns for all languages."""

    words: re.Pattern[str]
    kinds: dict[str, str]  # from `_key(word)` to the kind of the word
    capitals: frozenset[str]  # `_key(word)` of the words that must be in capitals
    between: re.Pattern[str]  # from a label to its number: the rest of the label, and words such as "is"
    is_: str  # a pattern of the words for "is"
    before_amount: re.Pattern[str]  # a currency before a number
    after_amount: re.Pattern[str]  # a currency (group 1) or a unit (group 2) after a number
    capitals_of_amount: re.Pattern[str]  # currencies in capitals; the text must not come from `lower`


class Folded(NamedTuple):
    """A normalised text, with ASCII digits. The character `text[i]` is at index `places[i]` of the original."""

    text: str
    places: list[int]  # an index for each character of `text`, then the length of the original


def fold(text: str) -> Folded:
    """Convert a text to NFC.

    Digits of all writing systems become ASCII digits. Full-width letters and mathematical letters become normal
    letters.
    """
    if unicodedata.is_normalized("NFC", text):
        return Folded("".join(map(_fold_character, text)), list(range(len(text) + 1)))
    pieces: list[str] = []
    for character in text:
        if pieces and len(pieces[-1]) < _LONGEST_PIECE and _is_part(pieces[-1], character):
            pieces[-1] += character
        else:
            pieces.append(character)
    folded: list[str] = []
    places: list[int] = []
    end = 0
    for piece in pieces:
        characters = unicodedata.normalize("NFC", piece)
        folded += map(_fold_character, characters)
        places += [end] * len(characters)
        end += len(piece)
    return Folded("".join(folded), [*places, end])


def _is_part(piece: str, character: str) -> bool:
    """Return whether a character forms one letter with the characters before it."""
    composed = unicodedata.normalize("NFC", piece + character)
    return bool(unicodedata.combining(character)) or composed != unicodedata.normalize("NFC", piece) + character


def _fold_character(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if unicodedata.decomposition(character).startswith(("<wide>", "<font>")):
        form = unicodedata.normalize("NFKC", character)
        return form if len(form) == 1 else character
    return character


def lower(text: str) -> str:
    """Convert a text to lower case. Its length stays the same.

    A dotless i becomes i, and a final sigma becomes a normal sigma.
    """
    small = "".join(low if len(low := character.lower()) == 1 else character for character in text)
    return small.replace("\u0130", "i").replace("\u0131", "i").replace("\u03c2", "\u03c3")


@functools.cache
def load_patterns() -> Patterns:
    """Read the words, and make the patterns."""
    languages: dict[str, dict[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    currency = languages.pop("currency")
    lists = {
        kind: [word for words in languages.values() for word in words.get(kind, ())] for kind in (*KINDS, "is", "unit")
    }
    kinds = {_key(form): kind for kind in reversed(KINDS) for word in lists[kind] for form in _list_forms(word)}
    capitals = {_key(word) for kind in KINDS for word in lists[kind] if word.isupper()}
    naming = [word for kind in KINDS for word in lists[kind]]
    first = {form.lstrip("*")[0] for word in naming for form in _list_forms(word)}
    is_ = _join(lists["is"])
    currencies = [*currency["codes"].split(), *currency["words"]]
    return Patterns(
        # Words begin only with certain characters. The lookahead quickly skips all other characters, such as digits.
        re.compile(f"(?=[{re.escape(''.join(sorted(first)))}]){_join(naming)}"),
        kinds,
        frozenset(capitals),
        re.compile(rf"[{''.join(_SCRIPTS)}]*(?:\ (?:{_join(currency['between'])}|{is_}))*[ \t.:#№°(-]{{0,4}}"),
        is_,
        re.compile(rf"{_join(currencies)}\.?(?=\s?[0-9])"),
        re.compile(rf"(?<![a-z0-9])[0-9]++\s?(?:({_join(currencies)})|({_join(lists['unit'])}))(?![0-9])"),
        re.compile(rf"(?<![A-Za-z])(?:{'|'.join(currency['codes_in_capitals'].split())})(?![A-Za-z])"),
    )


def mark_amounts(text: str) -> str:
    """Mark the currencies and the units of amounts. Return the changed text.

    `text` must be a result of `fold`. A currency is marked if it stands directly before or after a number. Some
    currency codes, such as `SEK`, are marked at any place if they are in capitals. A unit, such as `days`, is marked if
    it stands directly after a number.

    The constants `CURRENCY` and `UNIT` each contain one character. The function replaces every character of a marked
    currency with the character in `CURRENCY`. For example, it replaces the three letters of `eur` with three such
    characters. The function replaces every character of a marked unit with the character in `UNIT`. The length of the
    text stays the same.
    """
    patterns, small = load_patterns(), lower(text)
    before, after = patterns.before_amount.finditer(small), list(patterns.after_amount.finditer(small))
    spans = [(CURRENCY, match.span()) for match in chain(before, patterns.capitals_of_amount.finditer(text))]
    spans += [(CURRENCY if match[1] else UNIT, match.span(match.lastindex or 0)) for match in after]
    for mark, (start, end) in spans:
        text = text[:start] + mark * (end - start) + text[end:]
    return text


def find_kind(patterns: Patterns, match: re.Match[str], text: str) -> str | None:
    """Return the kind of the word that `match` contains. The kind is an item of `KINDS`, such as `label`.

    `match` must be the result of a search in `lower(text)`. Some words must be in capitals. If any letter of such a
    word is lowercase in `text`, the function returns None.
    """
    key = _key(match[0])
    if key in patterns.capitals and not text[match.start() : match.end()].isupper():
        return None
    return patterns.kinds[key]


def _key(word: str) -> str:
    return re.sub("[* \u00a0\u2010\u2011-]", "", lower(word))


def _list_forms(word: str) -> Iterator[str]:
    small = lower(unicodedata.normalize("NFC", word))
    yield small
    if small.strip("*")[:1] and _find_letters(small.strip("*")[0]) in _SCRIPTS[:2]:
        plain = "".join(c for c in unicodedata.normalize("NFD", small) if not unicodedata.combining(c))
        plain = plain.translate(_NO_MARKS)
        if plain != small and sum(map(str.isalpha, plain)) >= _WITHOUT_MARKS:
            yield plain


def _find_letters(character: str) -> str | None:
    return next((letters for pattern, letters in _LETTERS if pattern.match(character)), None)


def _join(words: Iterable[str]) -> str:
    """Return a pattern that matches any of the words. If two words match, the pattern takes the longer word."""
    forms = {form for word in words for form in _list_forms(word)}
    return _make_tree({(_begin(form), *_list_atoms(form.strip("*")), _end(form)) for form in forms})


def _make_tree(branches: Iterable[tuple[str, ...]]) -> str:
    """Join sequences of patterns into one pattern.

    Two or more sequences can have a common beginning. The joined pattern contains each common beginning only once.
    Therefore, a search with the joined pattern is fast.
    """
    grouped = groupby(sorted(branches, key=_rank), key=lambda branch: branch[:1])
    parts = [first[0] + _make_tree([branch[1:] for branch in group]) if first else "" for first, group in grouped]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _rank(branch: tuple[str, ...]) -> tuple[bool, bool, tuple[str, ...]]:
    ends = len(branch) == 1
    return ends, bool(branch) and branch[0] != _SPACE, branch  # longer words first


def _begin(form: str) -> str:
    letters = _find_letters(form.lstrip("*")[0])
    if letters is None:
        return ""
    return f"(?<=[{letters}])" if form.startswith("*") else f"(?<![{letters}])"


def _list_atoms(form: str) -> Iterator[str]:
    return (_SPACE if character == " " else re.escape(character) for character in form)


def _end(form: str) -> str:
    letters = None if form.endswith("*") else _find_letters(form[-1])
    return f"(?![{letters}])" if letters else ""
