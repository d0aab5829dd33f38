"""A test that the rest works without the package `sandbox/` and without its lines in `factory.py`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.app import ROOT

USE = """
from phonify import create_app

app = create_app({"DATABASE": "phonify.db", "API_KEY": "test-key-000000000000000000"})
services = app.extensions["phonify"]
services.prepare()
client = app.test_client()
for to in ("+14560000000", "+15005550004", "+15005550001"):
    arguments = {"to": to, "body": "Hello", "api_key": "test-key-000000000000000000"}
    print(client.post("/v1/messages", json=arguments).status_code)
services.make_message_loop().deliver_due()
shown = client.get("/v1/messages?api_key=test-key-000000000000000000").get_json()["messages"]
print([one["state"] for one in shown], client.get("/sandbox/rules").status_code)
services.close()
"""


def test_without_the_sandbox_the_rest_sends_messages(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "phonify", tmp_path / "phonify", ignore=shutil.ignore_patterns("__pycache__", "sandbox"))
    shutil.copy(ROOT / "schema.sql", tmp_path)
    shutil.copy(ROOT / "phonify/fronts/twilio/sandbox.py", tmp_path / "phonify/fronts/twilio")
    factory = tmp_path / "phonify" / "factory.py"
    text = factory.read_text(encoding="utf-8")
    factory.write_text(re.sub(r"from \.sandbox import .*\n|.*\((?:sandbox\w*|downloads)\.bp\)\n", "", text))
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()[:3]) == (0, ["201", "201", "402"]), done.stderr
    assert done.stdout.splitlines()[-1] == "['error', 'error', 'sent'] 404"
