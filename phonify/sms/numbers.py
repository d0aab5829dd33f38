"""Reads phone numbers, and finds their country, carrier and type.

MSISDNs are in the E.164 international format with the plus sign. Country and carrier come from the phonenumbers library
(Google's libphonenumber data).
"""

import functools
import re
import tomllib
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import carrier

from .alphabet import GSM7, count_septets

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
MAX_SEPTETS = 11  # of an alphanumeric sender
SENDER_CHARACTERS = GSM7 - frozenset("\n\r\f")
_DIGITS = re.compile(r"\+?[0-9]+")
_SEPARATORS = re.compile(r"[\s()./·\u2010-\u2015\u2212-]+")
_LONGEST_SHORT_CODE = 8
_MACHINE_NUMBERS = Path(__file__).with_name("machine_numbers.toml")
_NON_GEOGRAPHIC = "001"  # the region of +800, +882 and similar numbers in the library phonenumbers


def load_regions() -> None:
    """Load the data of all regions into memory.

    By default, the library phonenumbers loads the data of a region when the region is first used. To load the data, the
    library reads a file. The library raises an error if the process has too little memory or too many open files. After
    this error, the library never releases its lock.
    """
    for region in phonenumbers.SUPPORTED_REGIONS:
        phonenumbers.PhoneMetadata.metadata_for_region(region)
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
    _load_machine_plans()


class Number(NamedTuple):
    """The sender or the recipient of a message."""

    number: str  # E.164 with the plus sign, a short code or an alphanumeric sender
    country: str | None  # ISO 3166-1 alpha-2
    carrier: str | None


def parse_msisdn(text: str) -> Number:
    """Read an E.164 number with the plus sign. Raises ValueError for any other text.

    The country code must exist, and the length must be possible. The number itself does not need to be in use. Some
    countries share a country code, such as +1. One of these countries is the main country. For +1, the main country is
    the US. The library may be unable to find the country of a number. In this case, the field `country` contains the
    main country of the number's country code. For +800, +870 and similar numbers, the field `country` is `None`.

    If a national prefix follows the country code, the function removes this prefix. For example, in `+44 0 7...`, the
    function removes the 0 after +44. All other digits are kept. If you parse the returned number again, you get the
    same number.
    """
    if not _E164.fullmatch(text):
        raise ValueError("not in E.164 form")
    parsed = _parse(text)
    if not _has_possible_length(parsed):
        raise ValueError("not a possible length")
    country = phonenumbers.region_code_for_number(parsed)
    if country is None and parsed.country_code is not None:
        country = phonenumbers.region_code_for_country_code(parsed.country_code)
    return Number(
        number=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164),
        country=None if country == _NON_GEOGRAPHIC else country,
        carrier=_find_carrier(parsed),
    )


def is_same_number(text: str, number: str) -> bool:
    """Return whether `text` means the same number as `number`. `number` is in E.164.

    `text` can contain separators and the prefix 00, such as `0049 151 23456789`.
    """
    digits = "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())
    read = f"+{digits.removeprefix('00')}"
    try:
        return parse_msisdn(read).number == number
    except ValueError:
        return read == number


def parse_shown_number(text: str, country: str | None) -> str:
    """Convert a number to E.164. Phones can show a number in national form, such as `070 000 00 01` in Sweden.

    The function returns any other string unchanged. For example, the string can be a short code, an alphanumeric sender
    or an unused number.
    """
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return text
    if re.search("[A-Za-z]", text) or not phonenumbers.is_valid_number(parsed):
        return text
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_msisdn(text: str) -> bool:
    """Return whether a string is a phone number in the form that `parse_msisdn` returns."""
    try:
        return parse_msisdn(text).number == text
    except ValueError:
        return False


def _parse(text: str) -> phonenumbers.PhoneNumber:
    """Read a number, and remove misplaced national prefixes.

    The library can remove a national prefix. If the library makes a different change to the digits, this function
    raises ValueError. For example, the library removes carrier codes. For some countries, the library changes digits of
    phone numbers. Such a changed number can belong to another person.
    """
    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise ValueError("no such country code") from error
    code, read = str(parsed.country_code), phonenumbers.national_significant_number(parsed)
    given = text[1 + len(code) :]
    if given == read:
        return parsed
    if given == _find_national_prefix(parsed) + read:
        return _parse(f"+{code}{read}")
    raise ValueError(f"too {'many' if len(given) > len(read) else 'few'} digits for this country")


def _find_national_prefix(parsed: phonenumbers.PhoneNumber) -> str:
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    return (metadata and metadata.national_prefix) or ""


def _has_possible_length(parsed: phonenumbers.PhoneNumber) -> bool:
    if phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE:
        return True
    national = phonenumbers.national_significant_number(parsed)
    return any(
        len(national) in plan["digits"] and national.startswith(tuple(plan["begins_with"]))
        for plan in _load_machine_plans()
        if plan["country_code"] == parsed.country_code
    )


@functools.cache
def _load_machine_plans() -> list[dict[str, Any]]:
    plans: list[dict[str, Any]] = tomllib.loads(_MACHINE_NUMBERS.read_text(encoding="utf-8"))["plan"]
    return plans


def _find_carrier(parsed: phonenumbers.PhoneNumber) -> str | None:
    # The first function checks only the prefix and is quick. The second function also finds the type of the number,
    # and this is slow. Most numbers have no carrier, so the second function is rarely called.
    return (carrier.name_for_valid_number(parsed, "en") and carrier.name_for_number(parsed, "en")) or None


def read_typed_number(text: str) -> str:
    """Remove the separators from a phone number that a person has typed. Returns any other string unchanged.

    The separators are spaces, hyphens, parentheses, dots, slashes, invisible characters and `tel:`. If a number of more
    than 8 digits begins with 00, the function replaces 00 with a plus sign. A number of 8 digits can be a short code.
    """
    number = _read_digits(text)
    if number is None:
        return text
    return f"+{number[2:]}" if number.startswith("00") and len(number) > _LONGEST_SHORT_CODE else number


def list_searched_numbers(text: str) -> list[str]:
    """Return the different ways to write a phone number. For example, `0041` can be written as `0041` or as `+41`.

    A search finds the stored numbers that contain one of the returned strings. If the text has a character that is
    neither a digit nor a separator, the list is empty.
    """
    number = _read_digits(text)
    if number is None:
        return []
    forms = [number]
    if number.startswith("00"):
        forms.append(f"+{number[2:]}")
    elif number.startswith("0") and len(number) > 2:  # a national prefix
        forms.append(number[1:])
    with suppress(ValueError):
        forms.append(parse_msisdn(forms[-1]).number)
    return list(dict.fromkeys(forms))


def _read_digits(text: str) -> str | None:
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf").strip()
    number = _SEPARATORS.sub("", visible[4:] if visible[:4].lower() == "tel:" else visible)
    return number if _DIGITS.fullmatch(number) else None


class Kind(NamedTuple):
    """Two facts from the numbering plan: the type of a phone number, and whether the number is valid."""

    type: str  # mobile, fixed_line, toll_free, ...; unknown
    valid: bool  # whether its range is in use


_TYPES: dict[int, str] = {
    value: name.lower() for name, value in vars(phonenumbers.PhoneNumberType).items() if isinstance(value, int)
}
NUMBER_TYPES = (*sorted(_TYPES.values()), "short_code", "alphanumeric")


def classify_number(number: str) -> Kind:
    """Return the type of a number, and whether the number is valid.

    `number` is an E.164 number, a short code or an alphanumeric sender. Short codes and alphanumeric senders are always
    valid.
    """
    if not number.startswith("+"):
        return Kind("short_code" if number.isdecimal() else "alphanumeric", valid=True)
    parsed = phonenumbers.parse(number)
    return Kind(_TYPES[phonenumbers.number_type(parsed)], phonenumbers.is_valid_number(parsed))


def parse_originator(text: str) -> Number:
    """Read a sender. Raises ValueError for any other text.

    There are three kinds of senders: E.164 numbers, short codes of 3 to 8 digits, and alphanumeric senders. An
    alphanumeric sender has only printable characters of GSM-7, and at least one of them is a letter. It has 1 to 11
    septets (3GPP TS 23.040 section 9.1.2.5). A character of the extension table takes two septets. A sender can't begin
    or end with a space, because phones do not show such a space.
    """
    if text.startswith("+"):
        return parse_msisdn(text)
    if _SHORT_CODE.fullmatch(text) or _is_alphanumeric(text):
        return Number(number=text, country=None, carrier=None)
    raise ValueError("neither a number, nor a short code, nor an alphanumeric sender")


def _is_alphanumeric(text: str) -> bool:
    return (
        SENDER_CHARACTERS.issuperset(text)
        and count_septets(text) <= MAX_SEPTETS
        and any(map(str.isalpha, text))
        and text == text.strip()
    )


def group_number(number: str) -> str:
    """Put spaces between the groups of digits of an E.164 number (ITU-T E.123), and return the number.

    If `number` is in another format, or if the library can't parse it, the function returns `number` unchanged. The
    function never changes a digit.
    """
    if not _E164.fullmatch(number):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    grouped = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    groups = re.findall(r"[0-9]+", grouped)
    return "+" + " ".join(groups) if "+" + "".join(groups) == number else number


def mask_number(number: str) -> str:
    """Return the masked number, such as `+491********89`. Logs contain masked numbers.

    At most the first four and the last two characters stay visible.
    """
    return number[:4] + "*" * max(len(number) - 6, 0) + number[-2:] if len(number) > 6 else "*" * len(number)
