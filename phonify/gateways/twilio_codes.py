"""The error codes of Twilio, and their meaning for a message and for the gateway.

If the error code of an answer is missing or not listed here, the HTTP status of the answer determines the outcome.
"""

# The error type of a message, for answers and for receipts.
ERROR_TYPES = {
    21211: "invalid_number",
    21212: "sender_not_permitted",  # not a valid sender
    21265: "cannot_receive_sms",  # a short code
    21266: "sender_not_permitted",  # the sender is the recipient
    21267: "sender_not_permitted",  # an alphanumeric sender
    21408: "country_not_permitted",
    21601: "sender_not_permitted",  # a sender without SMS
    21603: "sender_not_permitted",  # no sender
    21606: "sender_not_permitted",  # the account does not own the sender, or the sender can't reach this country
    21608: "unroutable_number",  # not verified by a trial account
    21610: "opted_out",
    21612: "unroutable_number",
    21614: "cannot_receive_sms",  # not a mobile number
    21635: "cannot_receive_sms",  # a landline
    21659: "sender_not_permitted",  # the sender is not a number from Twilio
    21660: "sender_not_permitted",  # a sender of another account
    21661: "sender_not_permitted",  # a sender without SMS
    21711: "sender_not_permitted",  # not in the messaging service
    21712: "sender_not_permitted",  # not in the messaging service
    30001: "queue_overflow",
    30002: "account_suspended",
    30003: "unreachable_handset",
    30004: "blocked_by_recipient",
    30005: "unknown_handset",
    30006: "cannot_receive_sms",  # a landline
    30007: "filtered_by_carrier",
    30032: "sender_not_permitted",  # a toll-free number that is not verified
    30034: "sender_not_permitted",  # a number that is not registered for 10DLC
    30036: "validity_expired",
    572002: "sender_not_permitted",  # not the number of a trial account
    572005: "unroutable_number",  # not verified by a trial account
}
OTHER_ERROR_TYPE = "delivery_failed"

# The message was not taken, for a reason that concerns all messages. The operator reads the text.
PAUSING = {
    10001: "the account is not active",
    14107: "too many messages",
    20003: "the credentials are not accepted",
    20005: "the account is not active",
    20008: "these are test credentials",
    20404: "there is no such account at this URL",
    20429: "too many requests",
    21609: "Twilio does not accept the URL of callbacks; check PHONIFY_PUBLIC_URL",
    21701: "there is no such messaging service",
    21703: "the messaging service has no sender",
    21704: "the messaging service has no sender",
    21705: "the SID of the messaging service is not valid",
    21730: "Twilio is under maintenance",
    30001: "the queue is full",
    30002: "the account is suspended",
    60728: "the account has reached its hourly limit of messages",
    63038: "the account has reached its daily limit of messages",
}

# The message was not taken, because the queue of its sender is full. Other senders are not affected.
QUEUE_OF_SENDER_FULL = 21611

# In an answer, these codes do not say whether the message was taken.
UNCLEAR = frozenset({30003, 30005, 30008})


def choose_error_type(code: int | None) -> str:
    """Return the error type for an error code."""
    return ERROR_TYPES.get(code or 0, OTHER_ERROR_TYPE)


def read_code(value: object) -> int | None:
    """Return `value` as an error code, or None if `value` is not a code.

    A code is an integer, or a string of 1 to 9 ASCII digits.
    """
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
