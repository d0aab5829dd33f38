"""The app with the gateway of the settings, and a clock that a test moves while the app is running."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask

from phonify import create_app
from phonify.clock import SystemClock
from phonify.server import serve

FOLDER = Path(os.environ["PHONIFY_DATABASE"]).parent


class ShiftedClock(SystemClock):
    """A clock that all processes move by the seconds in the file `shift`, if this file exists."""

    def now(self) -> datetime:
        file = FOLDER / "shift"
        return super().now() + timedelta(seconds=float(file.read_text()) if file.exists() else 0)


def build() -> Flask:
    return create_app(clock=ShiftedClock())


if __name__ == "__main__":
    serve(build)
