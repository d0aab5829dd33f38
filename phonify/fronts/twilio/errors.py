"""Errors in Twilio's JSON format: a code, a text, and the HTTP status."""

from flask import Response, jsonify, request

from ...errors import PhonifyError

REALM = "Twilio API"
MORE_INFO = "https://www.twilio.com/docs/errors"
# By HTTP status: the code and the text of an error that another part of the server has found.
_BY_STATUS = {
    400: (20001, "The request can't be read."),
    401: (
        20003,
        (
            "The user name must be an account SID of this server (AC and 32 digits). The password must be the account's"
            " auth token or an API key. You find the SID and the token on the settings page, or with the command"
            " `phonify twilio show`."
        ),
    ),
    404: (20404, "The requested resource {path} was not found"),
    405: (20004, "Method not allowed"),
    413: (20001, "The request is too large."),
    429: (20429, "Too Many Requests"),
    503: (20503, "Service is temporarily unavailable. Try again."),
}


class TwilioError(Exception):
    """A refused request. The answer has Twilio's JSON format."""

    def __init__(self, code: int, message: str, status: int = 400, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after  # seconds

    def to_response(self) -> Response:
        """Return the answer."""
        response = jsonify(
            code=self.code, message=self.message, more_info=f"{MORE_INFO}/{self.code}", status=self.status
        )
        response.status_code = self.status
        if self.status == 401:
            response.headers["WWW-Authenticate"] = f'Basic realm="{REALM}"'
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


class MissingResource(TwilioError):
    """The account has no resource at this address."""

    def __init__(self) -> None:
        super().__init__(20404, f"The requested resource {request.path} was not found", 404)


def show_error(status: int, error: PhonifyError | None = None) -> Response:
    """Return an error answer in Twilio's format. Another part of the server has found the error."""
    code, message = _BY_STATUS.get(status, (20500, "An internal server error has occurred"))
    retry_after = error.retry_after if error is not None else None
    return TwilioError(code, message.format(path=request.path), status, retry_after=retry_after).to_response()
