"""The page /metrics for Prometheus.

This module is imported only if PHONIFY_METRICS is on, because prometheus-client is an optional extra.

The processes of a server count requests and attempts in shared files. At each request for /metrics, Phonify reads the
other values from the database.
"""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def _make_directory() -> None:
    """Make the folder for the files. Forked processes use the same folder.

    The current process removes the folder when this process exits. A forked process never removes the folder.
    """
    folder, made_by = tempfile.mkdtemp(prefix="phonify-metrics-"), os.getpid()

    def remove() -> None:
        if os.getpid() == made_by:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    os.environ[DIRECTORY] = folder


if DIRECTORY not in os.environ:
    _make_directory()

# These imports come last, because the import of prometheus_client reads the variable.
from flask import Blueprint, Flask, Response, g, request  # noqa: E402
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest  # noqa: E402
from prometheus_client.core import GaugeMetricFamily, Metric  # noqa: E402
from prometheus_client.exposition import CONTENT_TYPE_LATEST  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

from ..clock import parse_time  # noqa: E402
from ..domain.gateway_health import GatewayStatus  # noqa: E402
from ..http.current import get_services  # noqa: E402
from ..services import Services  # noqa: E402
from ..storage import monitoring as monitoring_store  # noqa: E402

bp = Blueprint("metrics", __name__)

# All HTTP methods outside this set get the label `other`. Otherwise, clients could create any number of labels.
_METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "DESTROY"}

_REQUESTS = Counter("phonify_http_requests", "Answered requests.", ("method", "route", "status"))
_REQUEST_SECONDS = Histogram(
    "phonify_http_request_seconds", "Seconds between a request and the answer.", ("method", "route")
)
_ATTEMPTS = Counter(
    "phonify_gateway_attempts", "Number of attempts to send a message through the gateway.", ("gateway", "outcome")
)
_ATTEMPT_SECONDS = Histogram(
    "phonify_gateway_attempt_seconds", "Duration of an attempt to send a message through the gateway.", ("gateway",)
)
_POSTS = Counter("phonify_webhook_attempts", "Number of attempts to post an event to a webhook.", ("outcome",))
_POST_SECONDS = Histogram("phonify_webhook_attempt_seconds", "Duration of an attempt to post an event to a webhook.")


class _DatabaseCollector(Collector):
    """The values from the database."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        services = self._services
        now = services.clock.now()
        with services.database.reading() as connection:
            connection.execute("BEGIN")  # all values must be from the same state of the database
            try:
                gauges = monitoring_store.read_gauges(connection, gateways=services.gateways)
                left = services.moving.read_left(connection)
                statuses = [running.health.read_status(connection) for running in services.gateways.values()]
            finally:
                connection.execute("ROLLBACK")
        messages = GaugeMetricFamily("phonify_messages", "Stored messages.", labels=("state", "direction"))
        for (state, direction), count in sorted(gauges.messages.items()):
            messages.add_metric((state, direction), count)
        yield messages
        due = sum(status.queue.due for status in statuses)
        yield GaugeMetricFamily("phonify_queue_messages", "Messages that should be sent now.", due)
        age = (now - parse_time(gauges.oldest_due_at)).total_seconds() if gauges.oldest_due_at else 0
        yield GaugeMetricFamily(
            "phonify_queue_oldest_seconds", "Seconds since the oldest waiting message became due.", max(age, 0)
        )
        yield _make_gauge("phonify_webhook_deliveries", "Stored webhook deliveries.", "state", gauges.deliveries)
        yield from _describe_gateways(statuses)
        yield _make_gauge(
            "phonify_messages_without_gateway",
            "Number of waiting messages whose gateway is missing on this server.",
            "gateway",
            {one.gateway: one.messages for one in left},
        )
        yield GaugeMetricFamily(
            "phonify_texts_without_account", "Received texts that belong to no account.", gauges.open_texts
        )
        path = services.database.path
        files = {"database": path, "wal": path.with_name(f"{path.name}-wal")}
        sizes = {name: file.stat().st_size if file.exists() else 0 for name, file in files.items()}
        yield _make_gauge("phonify_database_bytes", "Size of the database's files.", "file", sizes)


def _make_gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Make a gauge with one label. `values` maps each value of the label to a number."""
    gauge = GaugeMetricFamily(name, text, labels=(label,))
    for label_value, value in values.items():
        gauge.add_metric((label_value,), value)
    return gauge


def _describe_gateways(statuses: Sequence[GatewayStatus]) -> Iterator[Metric]:
    """Yield the gauges of gateways."""
    paused = {status.name: 0 if status.is_open else 1 for status in statuses}
    taken = {one.name: parse_time(one.state.taken_at).timestamp() for one in statuses if one.state.taken_at is not None}
    in_doubt = {status.name: status.queue.in_doubt for status in statuses}
    look_ups = {status.name: status.queue.look_ups for status in statuses}
    name = "phonify_gateway_last_success_timestamp_seconds"
    yield _make_gauge("phonify_gateway_paused", "1 if the gateway takes no messages, else 0.", "gateway", paused)
    yield _make_gauge(name, "Time at which the gateway last accepted or refused a message.", "gateway", taken)
    yield _make_gauge("phonify_gateway_messages_in_doubt", "Messages in doubt.", "gateway", in_doubt)
    yield _make_gauge("phonify_gateway_look_ups_due", "Look-ups that should happen now.", "gateway", look_ups)


@bp.get("/metrics")
def show_metrics() -> Response:
    """Answer with all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_DatabaseCollector(get_services()))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def measure(app: Flask) -> None:
    """Collect the metrics of `app`.

    There are metrics for HTTP requests, for attempts to send a message, and for attempts to post to a webhook.
    """
    app.register_blueprint(bp)
    app.before_request(_begin)
    app.after_request(_count)
    services: Services = app.extensions["phonify"]
    for name, running in services.gateways.items():
        running.observe = partial(_count_attempt, name)
    services.observe_post = _count_post


def _begin() -> None:
    g.begun = time.perf_counter()


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule is not None else "none"
    method = request.method if request.method in _METHODS else "other"
    _REQUESTS.labels(method, route, response.status_code).inc()
    if "begun" in g:
        _REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - g.begun)
    return response


def _count_attempt(gateway: str, outcome: str, seconds: float) -> None:
    """Count an attempt to send a message through a gateway."""
    _ATTEMPTS.labels(gateway, outcome).inc()
    _ATTEMPT_SECONDS.labels(gateway).observe(seconds)


def _count_post(outcome: str, seconds: float) -> None:
    """Add one attempt to the metrics of webhooks. `seconds` is the duration of the attempt."""
    _POSTS.labels(outcome).inc()
    _POST_SECONDS.observe(seconds)
