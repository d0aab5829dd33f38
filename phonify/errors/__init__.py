"""The errors of requests, and the exceptions that contain these errors. `table.py` has the types of errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .table import ERROR_TYPES, HIGHEST_MAX_BODY, MAX_BODY, MESSAGE_ERRORS, OUTCOMES, ErrorType, Kind, RuleOutcome

__all__ = [
    "ERROR_TYPES",
    "HIGHEST_MAX_BODY",
    "MAX_BODY",
    "MESSAGE_ERRORS",
    "OUTCOMES",
    "AccountRemoved",
    "Conflict",
    "EncodedBody",
    "ErrorType",
    "Fault",
    "InvalidRequest",
    "Kind",
    "LabRunning",
    "NotFound",
    "PhonifyError",
    "RateLimited",
    "RequestRefused",
    "RuleOutcome",
    "SimulatedFault",
    "StoreUnavailable",
    "TooManyRuns",
    "TooManyWaiting",
    "fault_for_status",
]


@dataclass(frozen=True)
class Fault:
    """One error of a request. If an argument is wrong, `param` is its name."""

    type: str
    param: str | None = None

    def __post_init__(self) -> None:
        if self.type not in ERROR_TYPES:
            raise LookupError(f"unknown error type {self.type!r}")

    @property
    def kind(self) -> Kind:
        """The kind of the error."""
        return ERROR_TYPES[self.type].kind

    @property
    def title(self) -> str:
        """The text that explains the error to people."""
        return ERROR_TYPES[self.type].title

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the error. It has `param` only if an argument is wrong."""
        shown = {"type": self.type, "title": self.title}
        if self.param is not None:
            shown["param"] = self.param
        return shown


# Flask and the server report an HTTP status. These are its error types.
_TYPES_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
    500: "internal_error",
}


def fault_for_status(status: int) -> Fault:
    """Return the error for an HTTP status. Flask or the server has chosen this status."""
    return Fault(_TYPES_BY_STATUS.get(status, "bad_request"))


class PhonifyError(Exception):
    """The base class of Phonify's exceptions.

    An exception contains at least one error (a `Fault`). All its errors are of the kind that its class describes. If
    a subclass sets `fault_type`, the exception needs no argument. Then it has one error of this type.
    """

    fault_type = ""
    retry_after: int | None = None  # seconds that the client should wait before it tries again

    def __init__(self, faults: Sequence[Fault] = (), *, retry_after: int | None = None) -> None:
        self.faults = list(faults) or [Fault(self.fault_type)]
        super().__init__(", ".join(fault.type for fault in self.faults))
        if retry_after is not None:
            self.retry_after = retry_after


class InvalidRequest(PhonifyError):
    """Phonify can't read the request, or finds an error in an argument. For example, an argument is missing."""


class EncodedBody(PhonifyError):
    """The body of the request is compressed."""

    fault_type = "unsupported_content_encoding"


class NotFound(PhonifyError):
    """The account has no object with this id."""

    fault_type = "not_found"


class RequestRefused(PhonifyError):
    """The request is valid, but Phonify or the gateway refuses it."""


class Conflict(PhonifyError):
    """The request conflicts with an earlier request, with a parallel request or with a running command."""


class TooManyWaiting(PhonifyError):
    """Too many requests are waiting already."""

    fault_type = "too_many_waiting"
    retry_after = 1


class TooManyRuns(PhonifyError):
    """The account has the maximum number of test runs. After `retry_after` seconds, one of these runs ends."""

    fault_type = "too_many_runs"


class LabRunning(PhonifyError):
    """A webhook lab of the account is running."""

    fault_type = "lab_running"


class AccountRemoved(PhonifyError):
    """The request used the account of a test run, and the test run ended during the request."""

    fault_type = "unauthorized"


class RateLimited(PhonifyError):
    """The account has made too many requests in this minute."""

    fault_type = "rate_limited"


class StoreUnavailable(PhonifyError):
    """The database can't be used at the moment. Nothing was stored."""

    fault_type = "store_unavailable"
    retry_after = 2


# The error types that a rule can simulate, by HTTP status.
SIMULATED_FAULTS = {429: "rate_limited", 500: "internal_error", 503: "store_unavailable"}


class SimulatedFault(PhonifyError):
    """A rule of the sandbox makes this request fail. Nothing was stored."""

    def __init__(self, status: int, rule: str) -> None:
        super().__init__([Fault(SIMULATED_FAULTS[status])], retry_after=2 if status != 500 else None)
        self.__cause__ = Exception(f"the rule {rule} of the sandbox")  # for the log
