"""The command `check-text`. The command checks a text, and sends nothing."""

import os
import sys

import click

from ..config import read_settings
from ..schemas.requests import CheckSchema, load
from ..schemas.text_check import dump_check
from ..sms.segments import TextCheck, check_text
from .output import Command, Failed, echo, json_option, print_json, print_table, usage_errors


@click.command("check-text", cls=Command)
@click.argument("text")
@click.option(
    "--max-segments",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The maximum number of SMS for the text.",
)
@click.option("--allow-ucs2", is_flag=True, help="Allow characters that are not in GSM-7.")
@click.option(
    "--webotp", is_flag=True, help="The last line must be @host #code. Such a line binds the code to a web site."
)
@json_option
def check_text_command(text: str, max_segments: int, allow_ucs2: bool, webotp: bool, as_json: bool) -> None:
    """Show how TEXT is sent as SMS: encoding, segments, and the characters that need UCS-2.

    If TEXT is -, the command reads the text from standard input. It removes one line break at the end of the text.

    If the text is empty or too long for a message, the exit status is 2. If the text fails a check, the exit status is
    1. By default, a text fails if it needs UCS-2, or if it needs several SMS.
    The options --allow-ucs2 and --max-segments allow more texts. The option --webotp adds a check.
    """
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    # The Flask app needs a usable database, but this command needs only the settings.
    schema = CheckSchema(max_body=read_settings(os.environ).max_body)
    with usage_errors({"body": "TEXT"}):
        check = check_text(load(schema, {"body": text})["body"])
    if as_json:
        print_json(dump_check(check))
    else:
        _print_check(check)
    faults = []
    if check.encoding == "ucs2" and not allow_ucs2:
        faults.append("the text needs UCS-2")
    if len(check.segments) > max_segments:
        faults.append(f"the text needs {len(check.segments)} SMS, more than {max_segments}")
    if webotp and check.bound_code is None:
        faults.append("the last line must have the form '@host #code'")
    if faults:
        raise Failed("; ".join(faults))


def _print_check(check: TextCheck) -> None:
    encoding, units = ("GSM-7", "septets") if check.encoding == "gsm7" else ("UCS-2", "units of UTF-16")
    shown = dump_check(check)
    echo(f"{encoding}: {check.units} {units} in {len(check.segments)} SMS (a single SMS has {check.single})")
    if len(check.segments) > 1:
        rows = [(f"{part['start']}-{part['end']}", part["units"], repr(part["text"])) for part in shown["segments"]]
        print_table(("CUT AT", "UNITS", "TEXT"), rows)
    if check.wide:
        found = [
            (wide.position, repr(wide.character)[1:-1], wide.name, _name_substitute(wide.substitute))
            for wide in check.wide
        ]
        print_table(("AT", "CHARACTER", "NAME", "IN GSM-7"), found)
    if check.bound_code is not None:
        frame = f" with a frame of {check.bound_code.embedded_host}" if check.bound_code.embedded_host else ""
        echo(f"WebOTP: the code {check.bound_code.code} for {check.bound_code.host}{frame}")
    elif check.bound_line is not None:
        echo(f"WebOTP: the last line is not valid. It must be @host #code: {check.bound_line!r}")
    else:
        echo("WebOTP: the last line does not link a code to a web site")


def _name_substitute(substitute: str | None) -> str:
    if substitute is None:
        return "none"
    return repr(substitute) if substitute else "leave it out"
