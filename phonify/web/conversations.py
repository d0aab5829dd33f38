"""The pages of conversations, threads and messages, and the fragments that refresh these pages."""

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from ..domain.conversations import END
from ..errors import NotFound
from ..http.current import get_services
from ..sms.numbers import is_msisdn
from . import display
from .reading import (
    count_unread,
    look_at_thread,
    read_address,
    read_conversations,
    read_detail,
    read_number,
    read_thread,
)
from .rendering import answer_fragment, answer_look
from .session import current_account, current_key, guard, redirect_to

_NOTICES = {"cancelled": "The scheduled message was cancelled. It was removed, and it will not be sent."}

bp = Blueprint("inbox", __name__)
guard(bp)


@bp.get("/")
def show_inbox() -> str:
    """Show the conversations. If the account has no conversation, show how to send the first message."""
    sidebar, address = read_conversations(), read_address()
    samples = display.list_samples(address, current_key() or "KEY") if not sidebar["conversations"] else []
    return render_template("inbox/index.html", **sidebar, samples=samples, address=address, has_key=current_key() != "")


@bp.get("/inbox")
def show_start() -> Response:
    """Redirect to the inbox."""
    return redirect_to(url_for("inbox.show_inbox"))


@bp.route("/inbox/<path:_path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def show_nothing(_path: str) -> Response:
    """Show the 404 page. Without a session, the browser goes to the sign-in page."""
    raise NotFound


@bp.get("/inbox/conversations")
def list_conversations() -> Any:
    """Show the current list of conversations. With `below`, show older conversations."""
    if "below" in request.args:
        found = read_conversations(below=read_number(request.args["below"], END))
        return render_template("inbox/conversations.html", **found)
    shown, current = read_number(request.args.get("shown")), request.args.get("phone")
    return answer_look("inbox/sidebar.html", read_conversations(shown=shown, current=current))


@bp.get("/inbox/unread")
def show_unread() -> Response:
    """Show the number of unread conversations. A page uses this view if it has no list of conversations."""
    return answer_look("inbox/unread.html", {"unread": count_unread()})


@bp.post("/inbox/read")
def mark_all_read() -> Any:
    """Mark the messages in all conversations as read.

    Messages that are newer than all messages on the page stay unread.
    """
    current = request.form.get("phone")
    get_services().conversations.mark_all_read(current_account(), up_to=read_number(request.form.get("up_to"), END))
    if "HX-Request" in request.headers:
        shown = read_number(request.form.get("shown"))
        return answer_fragment("inbox/sidebar.html", read_conversations(shown=shown, current=current))
    return redirect_to(url_for("inbox.show_thread", phone=current) if current else url_for("inbox.show_inbox"))


@bp.get("/inbox/phones/<path:phone>")
def show_thread(phone: str) -> str:
    """Show the thread of a phone. The argument `notice` is the name of a text in `_NOTICES`."""
    return show_thread_page(phone, notice=_NOTICES.get(request.args.get("notice", "")))


def show_thread_page(phone: str, **form: Any) -> str:
    """Show the messages of a phone, and the form for a new message.

    If a valid number has no messages, the page shows an empty thread. If an invalid number has no messages, the
    function raises NotFound.
    """
    thread = look_at_thread(phone)
    if not thread["entries"] and not is_msisdn(phone):
        raise NotFound
    return render_template("inbox/thread.html", **{**read_conversations(current=phone), **thread, **form})


@bp.get("/inbox/phones/<path:phone>/messages")
def list_messages(phone: str) -> Response:
    """Show the header of a thread, and all messages whose `seq` is at least the argument `since`."""
    return answer_fragment("inbox/exchange.html", look_at_thread(phone, since=read_number(request.args.get("since"))))


@bp.get("/inbox/phones/<path:phone>/older")
def list_older(phone: str) -> str:
    """Show older messages of a thread."""
    thread = read_thread(phone, below=read_number(request.args.get("below"), END))
    return render_template("inbox/messages.html", **thread)


@bp.post("/inbox/phones/<path:phone>/subscription")
def change_subscription(phone: str) -> Any:
    """Add an opt-out for a phone, or remove the phone's opt-out."""
    account, services = current_account(), get_services()
    if not is_msisdn(phone):
        raise NotFound
    services.subscriptions.change(account, phone, subscribed=request.form.get("subscribed") == "yes", reason="inbox")
    return redirect_to(url_for("inbox.show_thread", phone=phone))


@bp.get("/inbox/messages/<message_id>")
def show_message(message_id: str) -> Any:
    """Show the details of a message, as a page or as a fragment.

    Raises NotFound if the message was removed. But if a request for a fragment has the argument `phone`, the fragment
    shows a note instead. `phone` is the phone of the open thread.
    """
    if "HX-Request" not in request.headers:
        return show_detail(message_id)
    try:
        return answer_fragment("inbox/detail.html", read_detail(message_id))
    except NotFound:
        if "phone" not in request.args:
            raise
        return render_template("inbox/gone.html", phone=request.args["phone"])


def show_detail(message_id: str, **form: Any) -> str:
    """Show the details of a message.

    If htmx sent the request, the answer is only this part of the page. Otherwise, the answer is the whole page.
    """
    detail = {**read_detail(message_id), **form}
    if "HX-Request" in request.headers:
        return render_template("inbox/detail.html", **detail)
    entry = detail["entry"]
    phone = display.other_side(entry.message)
    # The page shows some messages before this message, and all messages after it.
    first = read_thread(phone, below=entry.seq + 1)["entries"][-1]
    thread = read_thread(phone, since=first.seq)
    return render_template("inbox/thread.html", **{**read_conversations(current=phone), **thread, **detail})


@bp.post("/inbox/clear")
def clear() -> Response:
    """Remove all messages in a final state."""
    get_services().retention.clear(current_account())
    return redirect_to(url_for("inbox.show_inbox"))
