"""The GSM 7-bit alphabet (3GPP TS 23.038)."""

# TS 23.038 section 6.2.1, in the order of the codes, and section 6.2.1.1.
_ESCAPE = "\x1b"
_DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
GSM7_DEFAULT = frozenset(_DEFAULT) - {_ESCAPE}
GSM7_EXTENSION = frozenset(_EXTENSION.values())
GSM7 = GSM7_DEFAULT | GSM7_EXTENSION

_CODES = {character: bytes([code]) for code, character in enumerate(_DEFAULT) if character != _ESCAPE}
_CODES |= {character: bytes([_DEFAULT.index(_ESCAPE), code]) for code, character in _EXTENSION.items()}


def count_septets(text: str) -> int:
    """Return the number of septets of a text. All characters must be in the alphabet."""
    return sum(2 if character in GSM7_EXTENSION else 1 for character in text)


def encode_gsm7(text: str) -> bytes:
    """Encode a text, with one septet in each byte. Raises ValueError if a character is not in the alphabet."""
    try:
        return b"".join(_CODES[character] for character in text)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not in the GSM 7-bit alphabet") from None


def decode_gsm7(codes: bytes) -> str:
    """Decode a text that has one septet in each byte. A byte that is not a code of the alphabet becomes U+FFFD."""
    text, escaped = [], False
    for code in codes:
        character = _DEFAULT[code] if code < len(_DEFAULT) else "\N{REPLACEMENT CHARACTER}"
        if escaped:
            # Some codes are not in the extension table. Then the default table gives the character (TS 23.038
            # 6.2.1.1).
            text.append(_EXTENSION.get(code, character))
            escaped = False
        elif character == _ESCAPE:
            escaped = True
        else:
            text.append(character)
    return "".join(text)
