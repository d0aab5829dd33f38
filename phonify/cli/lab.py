"""The command `lab`, which tests the webhook of an app."""

import json
import os
from pathlib import Path

import click

from ..lab.forms import AppUnderTest, ProviderForm
from ..lab.report import list_lines, write_junit
from ..lab.runner import PATIENCE, run_lab
from ..outgoing.url_guard import BadUrl, check_url
from ..services import Services
from .output import Command, Failed, account_option, echo, get_account, get_services, load_services


@click.command("lab", cls=Command)
@click.argument("url", required=False)
@click.option(
    "--form",
    "form_name",
    type=click.Choice(["standard", "twilio"]),
    default="standard",
    show_default=True,
    help="How requests are signed.",
)
@click.option(
    "--secret",
    envvar="LAB_SECRET",
    show_envvar=True,
    help="The app checks signatures with this secret or auth token. Default: the secret or token of the account.",
)
@click.option(
    "--status-url",
    metavar="URL",
    help="The URL at which the app receives message statuses. This option needs --form twilio.",
)
@click.option("--probe", metavar="URL", help="A URL at which the app reports what it did.")
@click.option(
    "--limit", type=click.FloatRange(0.1, 60), help="How many seconds the lab waits for an answer of the app."
)
@click.option(
    "--patience",
    type=click.FloatRange(0, 600),
    default=PATIENCE,
    show_default=True,
    help="An app can answer first and work later. This option sets how many seconds the app has for this work.",
)
@click.option(
    "--junit", "junit_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write a report as JUnit XML."
)
@account_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def lab(
    url: str | None,
    form_name: str,
    secret: str | None,
    status_url: str | None,
    probe: str | None,
    limit: float | None,
    patience: float,
    junit_file: str | None,
    account_name: str,
    as_json: bool,
) -> None:
    """Test the webhook of an app. URL is the address of the webhook.

    If URL is missing, the command uses the registered URL of the account.

    The lab posts genuine, repeated, late, forged and damaged events. The app handles them like real events. Therefore,
    use a test instance of the app. If the app fails a trial, the exit status is 1.
    """
    services = load_services()
    form = services.labs.forms.get(form_name)
    if form is None:
        raise click.BadParameter(f"this server does not support {form_name!r}; see PHONIFY_TWILIO", param_hint="--form")
    app = _find_app(services, form, account_name, url=url, status_url=status_url, secret=secret)
    app = app._replace(probe_url=probe)
    _check(services, form, app)
    if junit_file is not None:
        _check_place(junit_file)
    report = run_lab(form, app, send=services.labs.post, clock=services.clock, limit=limit, patience=patience)
    if as_json:
        echo(json.dumps(report.to_dict()))
    else:
        for line in list_lines(report):
            echo(line)
    if junit_file is not None:
        try:
            Path(junit_file).write_text(write_junit(report), encoding="utf-8")
        except OSError as error:
            raise Failed(f"{junit_file} can't be written: {error.strerror}") from error
    if report.count("failed"):
        click.get_current_context().exit(1)


def _find_app(
    services: Services,
    form: ProviderForm,
    account_name: str,
    *,
    url: str | None,
    status_url: str | None,
    secret: str | None,
) -> AppUnderTest:
    """Return the URLs and the secret of the app under test.

    If `url` and `status_url` are both None, use the account's URLs from the database. If `secret` is None, use the
    account's secret from the database.
    """
    if form.name == "standard" and status_url is not None:
        raise click.UsageError("--status-url needs --form twilio")
    given = url or status_url
    if given is not None and secret is not None:
        return AppUnderTest(url, url if form.name == "standard" else status_url, secret)
    services = get_services()
    kept = services.labs.find_app(get_account(services, account_name), form)
    if kept is None:
        missing = "--secret" if given is not None else "URL"
        raise click.UsageError(f"the account {account_name!r} has no webhook; give {missing}")
    if given is None and kept.url is None:
        raise click.UsageError(f"the account {account_name!r} has no URL for received messages; give URL")
    if given is not None:
        kept = kept._replace(url=url, status_url=url if form.name == "standard" else status_url, method="POST")
    return kept if secret is None else kept._replace(secret=secret, former_secret=None)


def _check(services: Services, form: ProviderForm, app: AppUnderTest) -> None:
    """Raise a usage error if the lab can't post to a URL or can't sign its requests."""
    for hint, url in (("URL", app.url), ("--status-url", app.status_url), ("--probe", app.probe_url)):
        if url is not None:
            try:
                check_url(url, private_allowed=services.webhooks.private_allowed)
            except BadUrl as error:
                raise click.BadParameter(f"{url!r} can't be posted to: {error}", param_hint=hint) from error
    if not form.check_secret(app.secret):
        wanted = "whsec_ and base64" if form.name == "standard" else "1 to 64 printable ASCII characters"
        raise click.BadParameter(f"not a valid secret, it must be {wanted}", param_hint="--secret")


def _check_place(file: str) -> None:
    """Raise a usage error if the report can't be written. Call this function before the lab begins."""
    folder = Path(file).absolute().parent
    if not os.access(folder, os.W_OK):
        raise click.BadParameter(f"Phonify can't write to the folder {folder}", param_hint="--junit")
