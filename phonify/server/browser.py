"""Opens a page in a browser."""

import subprocess
import sys


def open_browser(address: str) -> subprocess.Popen[bytes]:
    """Open an address in the default browser, if the machine has a desktop. Returns the process that opens it."""
    # Some browsers start slowly, and text browsers use the terminal. So a separate process opens the browser.
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "webbrowser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
