"""The settings page: keys, the webhook, deliveries, the sender, messages, opt-outs, limits and test runs."""

from collections.abc import Collection
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from ..clock import parse_time
from ..domain import accounts
from ..errors import Fault, InvalidRequest, NotFound, PhonifyError
from ..http.current import get_services
from ..schemas.keywords import read_keyword_settings
from ..sms.keywords import START_KEYWORDS, STOP_KEYWORDS
from ..sms.numbers import parse_originator, read_typed_number
from ..storage.records import KeywordReplies
from . import display
from .advances import read_summary
from .gateway import describe_gateways
from .reading import count_unread, normalize_lines, read_address, read_number
from .rendering import answer_fragment, place_faults
from .session import current_account, current_key, guard, redirect_to

DELIVERIES = 20
MOST_DELIVERIES = 200  # the page refreshes at most this number of deliveries
# The fields that show their own errors, from top to bottom.
FIELDS = (
    *("name", "url", "inbound_url", "fallback_url"),
    *("origin", "advance", "stop_keywords", "stop_reply", "start_reply", "help_reply"),
)

bp = Blueprint("settings", __name__, url_prefix="/inbox/settings")
guard(bp)


@bp.get("")
def show_settings() -> str:
    """Show the settings of the account. If the URL contains a summary (`read_summary`), also show the summary."""
    return show_page(advanced=read_summary(request.args))


@bp.post("/origin")
def change_origin() -> Any:
    """Change the account's default sender. If the field is empty, the default sender of the server is used."""
    services, given = get_services(), request.form.get("origin", "").strip()
    try:
        origin = parse_originator(read_typed_number(given)).number if given else None
    except ValueError:
        return show_page(faults=[Fault("invalid_originator", "origin")], origin=given), 400
    accounts.set_origin(services.database, current_account(), origin)
    return _back("origin")


@bp.post("/keywords")
def change_keywords() -> Any:
    """Change the account's own opt-out keywords and its automatic replies."""
    services, given = get_services(), {name: normalize_lines(text).strip() for name, text in request.form.items()}
    try:
        own = given.get("stop_keywords", "").split(",")
        replies = read_keyword_settings(own, given, max_body=services.settings.max_body)
    except InvalidRequest as error:
        return show_page(faults=error.faults, keywords=given), 400
    services.subscriptions.set_replies(current_account(), replies)
    return _back("keywords")


@bp.post("/keys")
def create_key() -> Any:
    """Make another key. The key is shown only in the answer to this request."""
    services, name = get_services(), request.form.get("name", "").strip()
    if not name.isprintable() or len(name) > 100:
        return show_page(faults=[Fault("invalid_text", "name")], name=name), 400
    _, key = accounts.create_key(services.database, services.clock, current_account(), name=name)
    return show_page(new_key=key)


@bp.post("/keys/<int:key_id>/revoke")
def revoke_key(key_id: int) -> Any:
    """Revoke a key of the account. This also ends each session that was opened with this key."""
    services = get_services()
    known = key_id < 2**63  # SQLite has no larger numbers
    if not known or not accounts.revoke_key(services.database, services.clock, key_id, account=current_account()):
        raise NotFound
    return _back("keys")


@bp.post("/webhook")
def set_webhook() -> Any:
    """Set the URL of the webhook."""
    url = request.form.get("url", "").strip()
    try:
        get_services().webhooks.set_url(current_account(), url)
    except PhonifyError as error:
        return show_page(faults=error.faults, url=url), 400
    return _back("webhook")


@bp.post("/webhook/rotate")
def rotate_secret() -> Any:
    """Set a new secret for the webhook."""
    get_services().webhooks.rotate_secret(current_account())
    return _back("webhook")


@bp.post("/webhook/remove")
def remove_webhook() -> Any:
    """Remove the webhook."""
    get_services().webhooks.remove(current_account())
    return _back("webhook")


@bp.post("/webhook/test")
def test_webhook() -> Any:
    """Send a test event to the webhook."""
    get_services().webhooks.send_test(current_account())
    return _back("deliveries")


@bp.post("/fronts/<name>")
def change_front(name: str) -> Any:
    """Change the settings of a front. Each account has its own settings.

    A front offers the API of an SMS provider, such as Twilio.
    """
    pages = {page.name: page for page in get_services().front_pages}
    if name not in pages:
        raise NotFound
    try:
        pages[name].change_settings(current_account(), request.form)
    except InvalidRequest as error:
        return show_page(faults=error.faults, front_form=request.form), 400
    return _back(name)


@bp.post("/refusals/clear")
def clear_refusals() -> Response:
    """Remove the list of refused requests."""
    get_services().fronts.clear_refusals(current_account())
    return _back("refusals")


@bp.post("/runs/<run_id>/end")
def end_run(run_id: str) -> Any:
    """End a test run of the account."""
    get_services().runs.end(current_account(), run_id)
    return _back("runs")


@bp.get("/deliveries")
def list_deliveries() -> Any:
    """Show the current list of deliveries. With `before`, show older deliveries."""
    if "before" in request.args:
        found = _read_deliveries(before=read_number(request.args["before"]) or None)
        return render_template("inbox/deliveries.html", **found)
    return answer_fragment("inbox/log.html", _read_deliveries(shown=read_number(request.args.get("shown"))))


@bp.post("/deliveries/<delivery_id>/redeliver")
def redeliver(delivery_id: str) -> Any:
    """Post a delivery again."""
    get_services().webhooks.redeliver(current_account(), delivery_id)
    if "HX-Request" in request.headers:
        return render_template("inbox/log.html", **_read_deliveries(shown=read_number(request.form.get("shown"))))
    return _back("deliveries")


def _back(section: str) -> Response:
    return redirect_to(url_for("settings.show_settings", _anchor=section))


def _read_deliveries(*, before: int | None = None, shown: int = 0) -> dict[str, Any]:
    limit = min(max(shown, DELIVERIES), MOST_DELIVERIES)
    services, account = get_services(), current_account()
    found = services.webhooks.list_deliveries(account, limit=limit + 1, before=before)
    deliveries = found[:limit]
    return {
        "deliveries": deliveries,
        "next_delivery": deliveries[-1].seq if len(found) > limit else None,
        "webhook": services.webhooks.get(account),
    }


def _read_runs() -> list[dict[str, Any]]:
    """Return the account's test runs, each with its remaining time and its number of messages."""
    services, now = get_services(), get_services().clock.machine_now()
    return [
        {
            "id": run.id,
            "name": run.name or run.id,
            "left": display.show_duration((parse_time(run.expires_at) - now).total_seconds()),
            "messages": services.runs.count_messages(run),
        }
        for run in services.runs.find_all(current_account())
    ]


def _show_keywords(replies: KeywordReplies) -> dict[str, str]:
    shown = {name: reply or "" for name, reply in replies._asdict().items()}
    return {**shown, "stop_keywords": ", ".join(replies.stop_keywords)}


def show_page(faults: Collection[Fault] = (), **context: Any) -> str:
    """Return the page. The template also gets the values in `context`. They can replace the usual values."""
    services, account = get_services(), current_account()
    keys = [key for key in accounts.list_keys(services.database, account=account.name) if key.revoked_at is None]
    page = {
        "keys": keys,
        "current_id": accounts.find_key_id(services.database, current_key()),
        "current_key": current_key(),
        "server_origin": services.settings.origin,
        "keywords": _show_keywords(services.subscriptions.get_replies(account)),
        "stop_keywords": STOP_KEYWORDS,
        "start_keywords": START_KEYWORDS,
        "quota_used": accounts.count_quota_used(services.database, services.clock, account),
        "messages": services.conversations.count(account),
        "runs": _read_runs(),
        "clock_status": services.clock.get_status(),
        "may_change_clock": services.clock.may_change(account),
        "settings": services.settings,
        "fronts": services.front_pages,
        "refusals": services.fronts.list_refusals(account),
        "new_key": None,
        "unread": count_unread(),
        **_read_deliveries(),
        **describe_gateways(services, account),
        **place_faults(faults, FIELDS),
    }
    for front in services.front_pages:
        page |= front.describe_settings(account, read_address())
    return render_template("inbox/settings.html", **{**page, **context})
