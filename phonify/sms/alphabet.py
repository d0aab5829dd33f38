"""The GSM 7-bit alphabet (3GPP TS 23.038)."""

# TS 23.038 section 6.2.1 (without the escape) and section 6.2.1.1.
GSM7_DEFAULT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM7 = GSM7_DEFAULT | GSM7_EXTENSION


def count_septets(text: str) -> int:
    """Return the number of septets of a text whose characters are all in the alphabet."""
    return sum(2 if character in GSM7_EXTENSION else 1 for character in text)
