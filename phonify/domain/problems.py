"""Finds problems of an account. The account's messages do not show these problems.

There are two kinds of problems: a front has refused a request, or an attempt to post a webhook event has failed. If a
test gets no message in time, the test client adds these problems to the error.
"""

from operator import itemgetter
from typing import NamedTuple

from ..clock import Clock, parse_time
from ..storage.records import Account, WebhookAttempt
from .fronts import Fronts
from .webhooks import Webhooks

MOST_PROBLEMS = 20
_MOST_DELIVERIES = 100  # only the latest deliveries are searched


class Problem(NamedTuple):
    """Describes a problem and its time."""

    at: str
    seconds_ago: float
    text: str


def list_problems(fronts: Fronts, webhooks: Webhooks, clock: Clock, account: Account) -> list[Problem]:
    """Return the latest problems of an account, sorted from old to new. Returns at most `MOST_PROBLEMS` problems."""
    found = [
        (one.at, f"refused message to {one.to or 'no number'}: {one.code} {one.meaning}")
        for one in reversed(fronts.list_refusals(account))
    ]
    webhook = webhooks.get(account)
    for delivery in reversed(webhooks.list_deliveries(account, limit=_MOST_DELIVERIES)):
        if delivery.tries and not _is_fine(delivery.tries[-1]):
            url = delivery.url or (webhook.url if webhook is not None else "a removed URL")
            last = delivery.tries[-1]
            found.append((last.at, f"webhook {delivery.event} to {url}: {last.result}"))
    now = clock.now()
    return [
        Problem(at, max((now - parse_time(at)).total_seconds(), 0.0), text)
        for at, text in sorted(found, key=itemgetter(0))[-MOST_PROBLEMS:]
    ]


def _is_fine(attempt: WebhookAttempt) -> bool:
    return attempt.error is None and attempt.status is not None and 200 <= attempt.status < 300
