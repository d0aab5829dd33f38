"""Message ids: UUIDv7 (RFC 9562 section 5.7). Nobody can guess an id. Sorted ids are in the order of creation.

This module also checks auth tokens, because settings, requests and tests need this check.
"""

import os
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
AUTH_TOKEN = "[!-~]{1,64}"  # noqa: S105 - a pattern; usually 32 hexadecimal digits, but a test may have its own token
_FRACTION_BITS = 12
_RANDOM = struct.Struct("=16Q")  # 16 numbers in one call, because each call releases the interpreter lock


def is_message_id(text: str) -> bool:
    """Return whether `text` has the format of a message id."""
    return _FORM.fullmatch(text) is not None


def is_auth_token(text: str) -> bool:
    """Return whether a text can be an auth token of the Twilio-compatible API."""
    return re.fullmatch(AUTH_TOKEN, text) is not None


def read_time(id_: str) -> datetime:
    """Return the time at which a message id was generated. The time is in UTC, with milliseconds."""
    return datetime.fromtimestamp(int(id_.replace("-", "")[:12], 16) / 1000, UTC)


def generate_ids(now: datetime, after: str | None = None) -> Iterator[str]:
    """Yield new ids in ascending order.

    The argument `after` can contain an existing id. All new ids are greater than this id. This is true even if somebody
    has set the clock back.

    The 12 bits after the milliseconds are the fraction of a millisecond (RFC 9562 section 6.2, method 3). These 12 bits
    increase with each id. 62 other bits are random.
    """
    ticks = int(now.timestamp() * (1000 << _FRACTION_BITS))
    if after is not None:
        digits = after.replace("-", "")
        last = (int(digits[:12], 16) << _FRACTION_BITS) | int(digits[13:16], 16)
        ticks = max(ticks, last + 1)
    while True:
        for random in _RANDOM.unpack(os.urandom(_RANDOM.size)):
            milliseconds, fraction = divmod(ticks, 1 << _FRACTION_BITS)
            value = (milliseconds << 80) | (0x7000 | fraction) << 64 | 0b10 << 62 | random >> 2
            digits = f"{value:032x}"
            yield f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
            ticks += 1
