"""The pages: conversations, threads, one message, search, writing; and what keeps them up to date."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast, get_args

from flask import Blueprint, Response, current_app, g, render_template, request, url_for
from markupsafe import Markup

from ..api.arguments import read_arguments
from ..api.schemas import MAX_BODY, ChangeSchema, InboundSchema, SendSchema, load
from ..conversation_store import Conversation, Entry
from ..conversations import END, Found
from ..errors import Fault, InvalidRequest, NotFound, PhonifyError, Refused
from ..glances import make_token
from ..request_id import current_request_id
from ..runtime import get_runtime
from ..segments import check_text
from ..showing import dump_message
from ..store import Direction, Message, State
from ..subscription_store import SubscriptionRow
from . import display
from .session import current_account, current_key, guard, redirect_to

CONVERSATIONS = 40
MESSAGES = 50
MOST_LIVE = 500  # messages of a thread that are kept up to date
MOST_OUTLINED = 2 * MOST_LIVE  # with so many on a page it goes back to as many as that
MOST_LISTED = 200  # conversations, likewise
SEARCH_TIME = 0.2  # seconds
MOST_ROWS = 4_096  # that are kept as they were rendered

bp = Blueprint("inbox", __name__, template_folder="templates")
guard(bp)

_SEND = SendSchema()
_CHANGE = ChangeSchema()
_INBOUND = InboundSchema()


@bp.get("/")
def show_inbox() -> str:
    """Show the conversations, or how to send the first message."""
    sidebar = _read_sidebar()
    samples = display.list_samples(_address(), current_key()) if not sidebar["conversations"] else []
    return _render("inbox/index.html", **sidebar, samples=samples)


@bp.get("/inbox")
def show_start() -> Response:
    """Lead to where the inbox is."""
    return redirect_to(url_for("inbox.show_inbox"))


@bp.route("/inbox/<path:_path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def show_nothing(_path: str) -> Response:
    """Show that there is nothing, to whoever is signed in."""
    raise NotFound


@bp.get("/inbox/conversations")
def list_conversations() -> str:
    """Show more conversations, further down the list."""
    below = _read_number("below", END)
    return render_template("inbox/conversations.html", **_read_conversations(below), **template_context())


@bp.get("/inbox/phones/<phone>")
def show_thread(phone: str) -> str:
    """Show what was exchanged with a phone."""
    return _show_thread(phone)


@bp.get("/inbox/phones/<phone>/older")
def list_older(phone: str) -> str:
    """Show messages further up in a thread."""
    thread = _read_thread(phone, below=_read_number("below", END))
    return render_template("inbox/messages.html", **thread, **template_context())


@bp.get("/inbox/messages/<message_id>")
def show_message(message_id: str) -> str:
    """Show all there is to know of a message: as a page, or as the part of one that opens beside a thread."""
    return _show_message(message_id)


def _show_message(message_id: str, **form: Any) -> str:
    detail = {**_read_detail(message_id), **form}
    if "HX-Request" in request.headers:
        return render_template("inbox/detail.html", **detail, **template_context())
    entry = detail["entry"]
    thread = _read_thread(_other_side(entry.message), below=entry.seq + 1)
    return _render("inbox/thread.html", **{**_read_sidebar(), **thread, **_thread_form(), **detail})


@bp.get("/inbox/live")
def show_changes() -> Response:
    """Answer what has changed on an open page since it asked last; 204 where nothing has.

    Pages ask once a second rather than hold a connection: however many are open, none keeps a
    thread of the server, and browsers allow but six connections to a server.
    """
    phone, message_id = request.args.get("phone"), request.args.get("message")
    glances, whose = get_runtime().glances, current_account().id
    seen = dict(part.partition("-")[::2] for part in request.args.get("seen", "").split("."))
    parts: dict[str, Mapping[str, Any]] = {}
    tokens: dict[str, str] = {}
    if phone:  # before the list, where it is read then
        since = _read_number("since", 0)
        thread = glances.take((whose, phone, since), lambda: _outline_thread(phone, since))
        subscription = thread.seen["subscription"]
        parts["subscription"] = {"phone": phone, "subscription": subscription}
        tokens["subscription"] = make_token(subscription and (subscription.subscribed, subscription.changed_at))
        outline = thread.seen["outline"]
        tokens["thread"] = _make_outline_token(outline)
        if tokens["thread"] != seen.get("thread"):
            parts["thread"] = _read_thread_since(phone, since, outline, seen.get("thread", ""))
    if message_id:
        try:
            detail = parts["detail"] = _read_detail(message_id)
            tokens["detail"] = make_token(detail["entry"], detail["attempts"], detail["deliveries"])
        except NotFound:
            parts["detail"], tokens["detail"] = {"gone": True}, "gone"
    most = min(max(_read_number("shown", 0), CONVERSATIONS), MOST_LISTED)
    listed = glances.take((whose, most), lambda: _read_conversations(END, most=most))
    tokens["list"] = listed.token
    # What was rendered is told from these, part by part, not from the page.
    if tokens == seen:
        return Response(status=204)
    changed = [name for name in tokens if tokens[name] != seen.get(name)]
    token = ".".join(f"{name}-{tokens[name]}" for name in tokens)
    page: dict[str, Any] = {}
    for name in changed:
        page |= parts.get(name, {})
    if "list" in changed:
        # Rendered for none of them in particular, the list serves all pages that are open.
        rendered = glances.take((whose, most, listed.token, request.script_root), lambda: _render_listed(listed.seen))
        page["listed"] = _mark_current(rendered.seen["listed"], listed.seen["conversations"], phone)
    return Response(
        render_template(
            "inbox/live.html", **page, token=token, thread_address=_thread_address(phone), **template_context()
        )
    )


def _thread_address(phone: str | None) -> str:
    return url_for("inbox.show_thread", phone=phone) if phone else url_for("inbox.show_inbox")


def _outline_thread(phone: str, since: int) -> dict[str, Any]:
    runtime, account = get_runtime(), current_account()
    return {
        "outline": runtime.conversations.outline_thread(account, phone, since=since, limit=MOST_OUTLINED),
        "subscription": _get_subscription(phone),
    }


def _make_outline_token(outline: Sequence[str]) -> str:
    return f"{len(outline)}_{make_token(*outline)}"


def _read_thread_since(phone: str, since: int, outline: Sequence[str], seen: str) -> dict[str, Any]:
    """Return the messages that were added to those that a page has seen; all, where of those any has changed."""
    account, conversations = current_account(), get_runtime().conversations
    count = seen.partition("_")[0]
    known = int(count) if count.isascii() and count.isdecimal() and len(count) < 5 else 0
    # Nothing that came since the outline was made: of that it will be told next time.
    below = _read_seq(outline[-1]) + 1 if outline else 0
    if 0 < known < len(outline) and _make_outline_token(outline[:known]) == seen:
        first = _read_seq(outline[known])
        added = conversations.find_thread(account, phone, since=first, below=below, limit=MOST_OUTLINED)
        conversations.mark_read(account, phone, added)
        return {"added": added}
    thread = _read_thread(phone, since=since, below=below)
    conversations.mark_read(account, phone, thread["entries"])
    return thread


def _read_seq(line: str) -> int:
    seq: int = json.loads(line)[0]
    return seq


def _render_listed(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {"listed": Markup(render_template("inbox/conversations.html", **seen, **template_context()))}  # noqa: S704 - the template has escaped what is in it


def _mark_current(listed: Markup, conversations: Sequence[Conversation], phone: str | None) -> Markup:
    """Return a list in which the conversation that a page shows is marked."""
    for conversation in conversations:
        if conversation.phone == phone:
            plain = _render_conversation(conversation, current=False)
            # Whoever has it open sees it: that it was read may not be noted yet.
            current = _render_conversation(conversation._replace(unread=0), current=True)
            return listed.replace(plain, current, 1)
    return listed


@bp.get("/inbox/search")
def search() -> str:
    """Show the messages that have a text in their body or number, and a state or direction."""
    given = {name: request.args.get(name, "").strip() or None for name in ("q", "state", "direction")}
    state = cast("State", given["state"]) if given["state"] in get_args(State) else None
    direction = cast("Direction", given["direction"]) if given["direction"] in get_args(Direction) else None
    below: int | None = _read_number("below", END)
    if given["q"] and (len(given["q"]) > MAX_BODY or "\0" in given["q"]):
        below = None  # no message has that
    found, begun = Found([], below), time.monotonic()
    # A rare text may be far down: go on for as long as a person does not notice.
    while not found.entries and found.next is not None and time.monotonic() - begun < SEARCH_TIME:
        found = get_runtime().conversations.search(
            current_account(), text=given["q"], state=state, direction=direction, below=found.next
        )
    page = {"found": found, "given": given, "cut_matches": display.cut_matches}
    if "HX-Request" in request.headers:
        return render_template("inbox/results.html", **page, **template_context())
    return _render("inbox/search.html", **_read_sidebar(), **page)


@bp.get("/inbox/compose")
def show_compose() -> str:
    """Show the form for a new message."""
    given = {"to": request.args.get("to", "")}
    return _render("inbox/compose.html", **_read_sidebar(), given=given, faults=[])


@bp.post("/inbox/compose")
def compose() -> Any:
    """Send a message as the app, or write one as a phone."""
    given = _read_form()
    given.setdefault("to", given.get("special", ""))
    faults: list[Fault] = []
    try:
        if given.get("as") == "handset" and get_runtime().gateway.sandbox:
            # On the form, `to` is the phone in either case.
            message = _receive(given["to"], given)
        else:
            message, faults = _send(given)
    except PhonifyError as error:
        page = _render("inbox/compose.html", **_read_sidebar(), given=given, faults=error.faults)
        return page, 400
    if faults:
        return redirect_to(url_for("inbox.show_message", message_id=message.id))
    return redirect_to(url_for("inbox.show_thread", phone=_other_side(message)))


@bp.post("/inbox/phones/<phone>/messages")
def write(phone: str) -> Any:
    """Write into a thread: as the app or, in a sandbox, as the phone."""
    given = _read_form()
    form: dict[str, Any] = {"form": {"as": given.get("as", "app"), "body": ""}, "faults": []}
    status = 200
    try:
        if given.get("as") == "handset" and get_runtime().gateway.sandbox:
            _receive(phone, given)
        else:
            form["faults"] = _send({**given, "to": phone})[1]
    except PhonifyError as error:
        form, status = {"form": given, "faults": error.faults}, 400
    if "HX-Request" in request.headers:
        own_number = given.get("origin", "")
        page = render_template("inbox/form.html", phone=phone, own_number=own_number, **form, **template_context())
        return page, status
    if not form["faults"]:
        return redirect_to(url_for("inbox.show_thread", phone=phone))
    return _show_thread(phone, **form), status


@bp.post("/inbox/phones/<phone>/subscription")
def change_subscription(phone: str) -> Any:
    """Opt a phone out, or in again."""
    account, runtime = current_account(), get_runtime()
    if not phone.startswith("+") or not runtime.conversations.find_thread(account, phone, limit=1):
        raise NotFound
    runtime.subscriptions.change(account, phone, subscribed=request.form.get("subscribed") == "yes", reason="inbox")
    return redirect_to(url_for("inbox.show_thread", phone=phone))


@bp.post("/inbox/messages/<message_id>/change")
def change_message(message_id: str) -> Any:
    """Change a message that waits for its time."""
    given = _read_change()
    try:
        if given:
            get_runtime().messaging.change(current_account(), message_id, **load(_CHANGE, given))
        else:
            get_runtime().messaging.find(current_account(), message_id)
    except (InvalidRequest, Refused) as error:
        return _show_message(message_id, faults=error.faults, given=given), 400
    if "HX-Request" in request.headers:
        return _show_message(message_id)
    return redirect_to(url_for("inbox.show_message", message_id=message_id))


@bp.post("/inbox/messages/<message_id>/cancel")
def cancel_message(message_id: str) -> Any:
    """Cancel a message that waits for its time."""
    try:
        message = get_runtime().messaging.cancel(current_account(), message_id)
    except Refused as error:
        return _show_message(message_id, faults=error.faults), 400
    phone = _other_side(message)
    left = get_runtime().conversations.find_thread(current_account(), phone, limit=1)
    there = url_for("inbox.show_thread", phone=phone) if left else url_for("inbox.show_inbox")
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": there})
    return redirect_to(there)


@bp.post("/inbox/check")
def check() -> str:
    """Show what a text that is being written becomes as SMS."""
    body = read_arguments().get("body", "")
    body = body if isinstance(body, str) else ""
    return render_template("inbox/check.html", check=check_text(body) if body else None, body=body)


@bp.post("/inbox/clear")
def clear() -> Any:
    """Remove all messages that are settled."""
    get_runtime().conversations.clear(current_account())
    return redirect_to(url_for("inbox.show_inbox"))


def _read_form() -> dict[str, Any]:
    """Return the fields that were filled in; a time without a zone is in UTC."""
    given = {name: value for name, value in read_arguments().items() if value and isinstance(value, str)}
    if "send_at" in given and len(given["send_at"]) <= len("2026-01-31T09:30:00"):
        given["send_at"] += "Z"
    return given


def _read_change() -> dict[str, Any]:
    """Return what was changed in the form: what it merely showed may have been changed elsewhere meanwhile."""
    form = _read_form()
    plain = {name: value.replace("\r\n", "\n") for name, value in form.items()}
    if "send_at" in plain:
        plain["send_at"] = plain["send_at"][: len("2026-01-31T09:30:00")]
    return {
        name: form[name] for name in ("body", "send_at") if name in form and plain[name] != plain.get(f"shown_{name}")
    }


def _send(given: Mapping[str, Any]) -> tuple[Message, list[Fault]]:
    arguments = load(_SEND, {name: given[name] for name in ("to", "body", "origin", "send_at") if name in given})
    accepted = get_runtime().messaging.accept(current_account(), **arguments, request_id=current_request_id())
    return accepted.messages[0], accepted.faults


def _receive(phone: str, given: Mapping[str, Any]) -> Message:
    """Let a phone answer whoever wrote to it last."""
    messaging = get_runtime().messaging
    own = given.get("origin")
    if not isinstance(own, str) or not own.lstrip("+").isdecimal():  # none, or one that can't be answered
        own = messaging.default_origin(current_account())
    arguments = {"from": phone, "to": own, **{name: given[name] for name in ("body",) if name in given}}
    return messaging.receive(current_account(), **load(_INBOUND, arguments), request_id=current_request_id())


def _show_thread(phone: str, **form: Any) -> str:
    thread = _read_thread(phone)
    if not thread["entries"]:
        raise NotFound
    get_runtime().conversations.mark_read(current_account(), phone, thread["entries"])
    return _render("inbox/thread.html", **_read_sidebar(), **thread, **{**_thread_form(), **form})


def _thread_form() -> dict[str, Any]:
    return {"form": {"as": "app", "body": ""}, "faults": []}


def _read_sidebar() -> dict[str, Any]:
    return _read_conversations(END)


def _read_conversations(below: int, most: int = CONVERSATIONS) -> dict[str, Any]:
    found = get_runtime().conversations.find_all(current_account(), below=below, limit=most + 1)
    shown, more = found[:most], len(found) > most
    return {"conversations": shown, "next_conversation": shown[-1].last.seq if more else None}


def _read_thread(phone: str, *, below: int = END, since: int = 0) -> dict[str, Any]:
    limit = MOST_LIVE if since else MESSAGES
    account, conversations = current_account(), get_runtime().conversations
    entries = conversations.find_thread(account, phone, below=below, since=since, limit=limit)
    earlier = entries and conversations.find_thread(account, phone, below=entries[-1].seq, limit=1)
    country, carrier = display.describe_phone(phone)
    return {
        "phone": phone,
        "country": country,
        "carrier": carrier,
        "subscription": _get_subscription(phone),
        "entries": entries,
        "older": entries[-1].seq if earlier else None,
        "since": entries[-1].seq if entries else 1,
        "own_number": _own_side(entries[0].message) if entries else "",
    }


def _get_subscription(phone: str) -> SubscriptionRow | None:
    return get_runtime().subscriptions.get(current_account(), phone) if phone.startswith("+") else None


def _read_detail(message_id: str) -> dict[str, Any]:
    runtime, account = get_runtime(), current_account()
    entry = runtime.conversations.find_entry(account, message_id)
    message, attempts = entry.message, runtime.conversations.find_attempts(message_id)
    waits = message.state == "unconfirmed" and message.attempts == 0 and message.send_at is not None
    return {
        "entry": entry,
        "attempts": attempts,
        "deliveries": runtime.webhooks.list_for_message(account, message_id),
        "steps": display.list_steps(message, attempts),
        "check": check_text(message.body),
        "json_text": json.dumps(dump_message(message), indent=2, ensure_ascii=False),
        "curl": display.write_curl(_address(), current_key(), message),
        "curl_shown": display.write_curl(_address(), "KEY", message),
        "waits": waits,
    }


def _other_side(message: Message) -> str:
    return message.to_number if message.direction == "outbound" else message.origin_number


def _own_side(message: Message) -> str:
    return message.origin_number if message.direction == "outbound" else message.to_number


def _read_number(name: str, default: int) -> int:
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else default


def _address() -> str:
    return request.host_url.rstrip("/")


def template_context() -> dict[str, Any]:
    """Return what every template has at hand."""
    gateway = get_runtime().gateway
    return {
        "account": g.get("account"),
        "default_origin": get_runtime().messaging.default_origin(g.account),
        "address": _address(),
        "sandbox": gateway.sandbox,
        "special_numbers": gateway.special_numbers,
        "now": get_runtime().clock.now().isoformat(),
        "flag": display.flag,
        "cut_wide": display.cut_wide,
        "explain": display.explain,
        "other_side": _other_side,
        "render_conversation": _render_conversation,
        "render_entry": _render_entry,
    }


# The rows of lists are the same on each open page, and most are the same as when it asked last.


def _render_conversation(conversation: Conversation, current: bool) -> Markup:
    return _render_row("inbox/conversation.html", conversation, current=current, root=request.script_root)


def _render_entry(entry: Entry) -> Markup:
    return _render_row("inbox/message.html", entry, current=False, root=request.script_root)


@lru_cache(maxsize=MOST_ROWS)
def _render_row(template: str, shown: Conversation | Entry, *, current: bool, root: str) -> Markup:  # noqa: ARG001 - a part of the key
    """Return a row; `root` is where the addresses in it begin."""
    row = current_app.jinja_env.get_template(template).render(
        shown=shown,
        current=current,
        flag=display.flag,
        describe_phone=display.describe_phone,
        cut_text=display.cut_text,
        find_code=display.find_code,
        explain=display.explain,
    )
    return Markup(row)  # noqa: S704 - the template has escaped what is in it


def _render(template: str, **context: Any) -> str:
    return render_template(template, **context, **template_context())
