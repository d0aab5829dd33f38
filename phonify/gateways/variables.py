"""Reads a gateway's variables from the environment. All errors are reported together."""

from collections.abc import Mapping
from pathlib import Path

from ..outgoing.url_guard import BadUrl, parse_url
from ..sms.numbers import parse_originator


class Secret:
    """A secret. To get its text, call `reveal`. Logs, errors and tracebacks show `Secret(***)` instead of the text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._text)


class Variables:
    """The variables whose names begin with a prefix, such as PHONIFY_ANDROID_. `finish` reports all errors together."""

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self._environ = environ
        self._prefix = prefix
        self._errors: list[str] = []

    def read(self, name: str, default: str | None = None) -> str:
        """Return the text of a variable. If `default` is None, the variable is required.

        The function always returns a string. If the string is a path, the caller must convert it to a `Path`.
        """
        text = self._environ.get(self._prefix + name, "")
        if text:
            return text
        if default is None:
            self.add_error(name, "is missing")
        return default or ""

    def read_secret(self, name: str, *, required: bool = True) -> Secret:
        """Return a secret. The secret is in the variable `name`, or in a file.

        The variable `<name>_FILE` contains the path of the file.
        """
        text, file = self._environ.get(self._prefix + name, ""), self._environ.get(f"{self._prefix}{name}_FILE", "")
        if text and file:
            self.add_error(name, f"set this variable or {self._prefix}{name}_FILE, not both")
        elif file:
            try:
                text = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                self.add_error(f"{name}_FILE", f"{file!r} can't be read: {getattr(error, 'strerror', None) or error}")
                return Secret("")
            if not text:
                self.add_error(f"{name}_FILE", f"{file!r} is empty")
        elif not text and required:
            self.add_error(name, f"is missing; set it, or set {self._prefix}{name}_FILE to a file that contains it")
        return Secret(text)

    def read_url(self, name: str, default: str | None = None) -> str:
        """Return a URL without a slash at its end."""
        url = self.read(name, default).rstrip("/")
        if url:
            try:
                parse_url(url)
            except BadUrl as error:
                self.add_error(name, f"is not a URL that can be used: {error}")
        return url

    def read_whole(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        """Return a whole number."""
        text = self.read(name, str(default))
        if text.isascii() and text.isdecimal() and len(text) < 10 and lowest <= int(text) <= highest:
            return int(text)
        self.add_error(name, f"{text!r} must be a whole number from {lowest} to {highest}")
        return default

    def read_choice(self, name: str, *choices: str) -> str:
        """Return one of the choices. The first choice is the default."""
        text = self.read(name, choices[0])
        if text not in choices:
            self.add_error(name, f"{text!r} must be {' or '.join(choices)}")
        return text

    def read_number(self, name: str) -> str | None:
        """Return an E.164 number or a short code. Returns None if the variable is missing."""
        text = self.read(name, "")
        if not text:
            return None
        try:
            number = parse_originator(text).number
        except ValueError:
            number = ""
        if not number.lstrip("+").isdecimal():
            self.add_error(name, f"{text!r} must be an E.164 number with the plus sign, or a short code")
        return number

    def add_error(self, name: str, reason: str) -> None:
        """Add the reason why a variable can't be used."""
        self._errors.append(f"{self._prefix}{name}: {reason}")

    def finish(self) -> None:
        """Raise ValueError if there are errors. The exception has one line for each error."""
        if self._errors:
            raise ValueError("\n".join(self._errors))
