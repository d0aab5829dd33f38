"""Tests of the picture in the README: its script works, and the picture is small."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.app import ROOT

pytestmark = pytest.mark.browser


CHROMIUM = Path("/usr/bin/chromium")


def size_of(file: Path) -> tuple[int, int]:
    """Return the width and the height of a PNG."""
    start = file.read_bytes()[:24]
    assert start[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", start[16:24])
    return width, height


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM} on this machine")
def test_the_script_takes_a_picture_of_the_same_size(tmp_path: Path) -> None:
    file = tmp_path / "inbox.png"
    subprocess.run([sys.executable, ROOT / "tests/take_picture.py", file], check=True, timeout=120)
    assert size_of(file) == size_of(ROOT / "phonify/docs/inbox.png")


def test_the_picture_is_small_and_wide_enough() -> None:
    picture = ROOT / "phonify/docs/inbox.png"
    assert size_of(picture)[0] == 1200
    assert picture.stat().st_size < 200_000
    assert "](phonify/docs/inbox.png)" in ROOT.joinpath("README.md").read_text(encoding="utf-8")
