"""Take the picture of the inbox that the README shows: `python tests/take_picture.py [FILE]`.

It needs Debian's packages chromium and fonts-noto-color-emoji.
The picture shows `phonify serve --demo`, with one conversation open.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = Path("/usr/bin/chromium")
SIZE = {"width": 1200, "height": 760}
PHONE = "+12025550143"


def take_picture(file: Path) -> None:
    """Start the demo, take its picture and end it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PHONIFY_")}
    environ |= {"PYTHONPATH": str(ROOT), "PHONIFY_PORT": "0", "PHONIFY_WORKERS": "1", "PHONIFY_ACCESS_LOG": "off"}
    command = [sys.executable, "-m", "phonify", "serve", "--demo"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = (re.search(r"(http://\S+/)(\?api_key=\S+)", line) for line in server.stdout)
            _open(*next(match for match in found if match).groups(), file)
        finally:
            server.terminate()


def _open(address: str, key: str, file: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB", timezone_id="UTC")
        page.goto(address + key)
        page.locator("#conversations a", has_text=PHONE).click()
        page.locator("#thread .bubble").first.wait_for()
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    take_picture(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "phonify" / "docs" / "inbox.png")
