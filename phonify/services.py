"""The object in `app.extensions["phonify"]`. Views and commands use this object."""

import logging
import threading
from datetime import timedelta
from typing import TextIO

from .clock import Clock, monotonic
from .config import ConfigError, Settings
from .delivery.advancing import Advancing, Worker
from .delivery.calls import MessageOutcome
from .delivery.live_list import LiveList
from .delivery.loop import Loop, Observe
from .delivery.rule_effects import RuleEffects
from .delivery.running_gateway import RunningGateway
from .delivery.upkeep import Upkeep
from .delivery.webhooks import WebhookDelivery, WebhookJob, WebhookOutcome
from .domain import accounts
from .domain.accounts import KeyRing
from .domain.changing import Changing
from .domain.conversations import Conversations
from .domain.front_pages import FrontPage
from .domain.fronts import Fronts
from .domain.gateway_health import note_start
from .domain.history import Histories
from .domain.inbound import Inbound
from .domain.moving import Moving
from .domain.receipts import Receipts
from .domain.receiving import Receiving
from .domain.releasing import Releasing
from .domain.retention import Retention
from .domain.rules import Rules
from .domain.runs import Runs
from .domain.sending import Sending
from .domain.server_clock import ServerClock
from .domain.sessions import Sessions
from .domain.subscriptions import Subscriptions
from .domain.webhooks import Webhooks
from .errors import StoreUnavailable
from .gateways.base import Gateway
from .lab.labs import Labs
from .outgoing.url_guard import Resolve, resolve
from .storage.database import Database
from .storage.process_lock import has_owner
from .storage.records import Message
from .storage.upgrades import DatabaseUnusable, check_place, prepare
from .storage.wakeup import Wakeup

logger = logging.getLogger(__name__)


class Services:
    """The parts of Phonify, such as its database, its clock and its gateways."""

    def __init__(
        self, settings: Settings, machine_clock: Clock, gateway: Gateway, release_gateway: Gateway | None = None
    ) -> None:
        """Create all parts, but open no file."""
        self.settings = settings
        self.gateway = gateway  # the main gateway
        self.prepared = threading.Event()  # set after `prepare`
        self.database = database = Database(settings.database)
        self.database.committed = self.wake
        can_change = gateway.sandbox and release_gateway is None
        self.clock = clock = ServerClock(database, machine_clock, can_change=can_change)
        self.message_wakeup, self.webhook_wakeup = Wakeup(), Wakeup()

        private = gateway.sandbox if settings.webhook_private is None else settings.webhook_private
        self.webhooks = webhooks = Webhooks(database, clock, private_allowed=private)
        self.fronts = Fronts(database, clock, private_allowed=private, default_token=settings.twilio_auth_token)
        self.front_pages: list[FrontPage] = []
        self.keys = KeyRing(database, clock)
        self.sessions = Sessions(database, clock, self.keys)
        self.runs = Runs(database, clock, self.fronts)
        self.subscriptions = subscriptions = Subscriptions(database, clock)
        self.conversations = Conversations(database)
        self.rules = rules = Rules(database, clock, gateway)
        self.labs = Labs(database, clock, webhooks, self.fronts)
        longest = timedelta(days=settings.retain_days) if settings.retain_days is not None else None
        self.retention = Retention(database, clock, most_messages=settings.retain_messages, longest=longest)

        main, only_to = gateway.name, frozenset(settings.only_to)
        main_only_to = frozenset[str]() if gateway.sandbox else only_to  # a sandbox accepts messages to all numbers
        self.sending = self._make_sending(gateway, main_only_to, rules)
        self.receiving = Receiving(database, clock, webhooks, subscriptions, self.sending, rules)
        self.inbound = Inbound(database, clock, self.receiving, origin=settings.origin)
        receipts = Receipts(webhooks)
        self.rule_effects = RuleEffects(database, clock, main, receipts, self.receiving)
        # The keys of both are the name of the main gateway and the name of the gateway that sends released messages.
        self.senders = {main: self.sending}
        self.gateways = {main: self._run_gateway(gateway, main_only_to, receipts)}
        releasing = None
        if release_gateway is not None:
            releasing = self._make_sending(release_gateway, only_to, Rules(database, clock, release_gateway))
            self.senders[release_gateway.name] = releasing
            self.gateways[release_gateway.name] = self._run_gateway(release_gateway, only_to, receipts)
        self.releasing = Releasing(database, main, releasing)
        self.changing = Changing(database, clock, webhooks, subscriptions, self.senders, rules, main=main)
        self.moving = Moving(database, clock, webhooks, self.senders, rules, main=main)
        healths = {name: running.health for name, running in self.gateways.items()}
        self.history = Histories(database, clock, webhooks, healths=healths)

        # A function that is called after each attempt to post an event. `RunningGateway` has one for messages.
        self.observe_post: Observe = lambda _outcome, _seconds: None

    def _make_sending(self, gateway: Gateway, only_to: frozenset[str], rules: Rules) -> Sending:
        return Sending(
            self.database,
            gateway,
            self.clock,
            self.webhooks,
            self.subscriptions,
            rules,
            origin=self.settings.origin,
            validity=self.settings.validity,
            most_waiting=self.settings.waiting,
            only_to=only_to,
        )

    def _run_gateway(self, gateway: Gateway, only_to: frozenset[str], receipts: Receipts) -> RunningGateway:
        settings = self.settings
        limits = {1: settings.gateway_per_second, 60: settings.gateway_per_minute, 3600: settings.gateway_per_hour}
        if settings.gateway_window is not None:
            calls = max(settings.gateway_window // gateway.limits.batch, 1)
            gateway.limits = gateway.limits._replace(calls=calls)
        return RunningGateway(
            self.database,
            gateway,
            self.clock,
            self.webhooks,
            receipts,
            self.inbound,
            self.rules,
            rates={seconds: limit for seconds, limit in limits.items() if limit is not None},
            only_to=only_to,
        )

    @property
    def has_twilio(self) -> bool:
        """True if the Twilio-compatible API is on."""
        return self.gateway.sandbox if self.settings.twilio is None else self.settings.twilio

    def prepare(self, *, only_existing: bool = False) -> None:
        """Create or upgrade the database once. If `only_existing` is True, create no database. Raises ConfigError."""
        if self.prepared.is_set():
            return
        settings, database, clock = self.settings, self.database, self.clock
        try:
            if only_existing and not check_place(database):
                return
            prepare(database)
            clock.check_start()
            account = accounts.ensure_default_account(database, clock)
            if settings.api_key is not None:
                admitted = accounts.admit_key(database, clock, account, name="PHONIFY_API_KEY", key=settings.api_key)
                if not admitted:
                    logger.warning("PHONIFY_API_KEY contains a revoked key. Phonify refuses this key; see `keys list`")
            if self.has_twilio:
                self.fronts.ensure_account(account, auth_token=settings.twilio_auth_token)
        except DatabaseUnusable as error:
            raise ConfigError(f"the database can't be used: {error}") from error
        except StoreUnavailable as error:
            raise ConfigError(f"the database can't be used: {settings.database}: {error.__cause__}") from error
        except accounts.KeyTaken as error:
            raise ConfigError("PHONIFY_API_KEY: the key belongs to another account, not to default") from error
        self.prepared.set()

    def is_delivering(self) -> bool:
        """Return whether a running server or worker uses this database."""
        return has_owner(self.database.path)

    # Loops

    def make_message_loop(
        self, *, longest_nap: float = 0.25, running: RunningGateway | None = None
    ) -> Loop[Message, MessageOutcome]:
        """Make a loop that delivers the messages of one gateway. The default is the main gateway.

        Other servers can't wake the loop. So the loop looks for new messages after at most `longest_nap` seconds.
        """
        running = running or self.gateways[self.gateway.name]
        delivery = running.make_delivery(lease=self.settings.lease)
        return Loop(self.database, self.message_wakeup, delivery, longest_nap=longest_nap, grace=self.settings.grace)

    def make_webhook_loop(
        self, *, longest_nap: float = 0.25, resolve: Resolve = resolve
    ) -> Loop[WebhookJob, WebhookOutcome]:
        """Make a loop that posts webhook events."""
        delivery = WebhookDelivery(
            self.database,
            self.clock,
            self.webhooks,
            lease=self.settings.lease,
            resolve=resolve,
            observe=self.observe_post,
        )
        return Loop(self.database, self.webhook_wakeup, delivery, longest_nap=longest_nap, grace=self.settings.grace)

    def make_upkeep(self) -> Upkeep:
        """Make a loop that removes old rows every minute. If the clock was set back, the loop corrects due times."""
        lease, validity = self.settings.lease, self.settings.validity
        return Upkeep(
            self.database, self.clock, gateways=self.gateways, lease=lease, validity=validity, clean=self.clean
        )

    def make_advancing(self) -> Advancing:
        """Make an object that can advance the clock of the sandbox. Use the object for only one call of `advance`."""
        running = self.gateways[self.gateway.name]
        workers: list[Worker] = [self.make_message_loop(), self.rule_effects, self.make_webhook_loop()]
        if running.gateway.can_look_up:
            workers.append(running.make_look_ups())
        return Advancing(self.database, self.clock, workers, self.moving, self.clean)

    def clean(self) -> None:
        """Remove old rows, finished test runs and expired sessions. Handle incomplete texts and expired messages."""
        self.inbound.hand_over_due()
        self.moving.adopt()
        self.moving.end_expired()
        self.runs.remove_ended()
        self.sessions.remove_ended()
        self.retention.clean()

    def start_delivery(self, *, longest_nap: float = 0.25) -> list[threading.Thread]:
        """Start each loop in its own thread. Return the threads. They end after a call of `stop`."""
        self.share_wakeups()
        note_start(self.database, self.clock, self.gateways)
        self.moving.warn()
        self.rules.warn_if_useless()
        self.webhooks.warn()
        runs = {
            "webhooks": self.make_webhook_loop(longest_nap=longest_nap).run,
            "upkeep": self.make_upkeep().run,
        }
        if self.rules.enabled:
            runs["rules"] = self.rule_effects.run
        for name, running in self.gateways.items():
            running.gateway.start(running)
            runs[f"messages {name}"] = self.make_message_loop(longest_nap=longest_nap, running=running).run
            if running.gateway.can_look_up:
                runs[f"look-ups {name}"] = running.make_look_ups().run
        threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in runs.items()]
        for thread in threads:
            thread.start()
        return threads

    # What a start prints

    def create_first_key(self) -> str | None:
        """Create the first API key for the account `default`. Return None if the database already has a key."""
        account = accounts.ensure_default_account(self.database, self.clock)
        return accounts.create_first_key(self.database, self.clock, account)

    def make_live_list(self, stream: TextIO | None) -> LiveList | None:
        """Create the list that shows new messages in a terminal.

        Return None if `stream` is not a terminal, if the gateway is not `stub`, or if the log format is `json`. If the
        standard output is closed, `stream` is None.
        """
        if stream is None or self.settings.gateway != "stub" or self.settings.log_format == "json":
            return None
        return LiveList(self.database, stream) if stream.isatty() else None

    def has_key(self) -> bool:
        """Return whether the database has a valid or revoked key."""
        return bool(accounts.list_keys(self.database))

    def create_link(self, address: str) -> str:
        """Return a new sign-in link of the account `default`."""
        return self.sessions.create_link(accounts.ensure_default_account(self.database, self.clock), address)

    def describe_fronts(self) -> list[str]:
        """Return lines with the credentials for the fronts. A server prints these lines when it first starts."""
        account = accounts.ensure_default_account(self.database, self.clock)
        return [line for page in self.front_pages for line in page.describe_start(account)]

    # Waking and stopping

    def share_wakeups(self) -> None:
        """Allow each process to wake the loops in other processes. Call this function before the fork."""
        self.message_wakeup.share()
        self.webhook_wakeup.share()

    def wake(self) -> None:
        """Wake all loops. A signal handler can call this function."""
        self.message_wakeup.wake()
        self.webhook_wakeup.wake()

    def stop(self) -> None:
        """Stop all loops. Stop all requests that wait for a change. A signal handler can call this function."""
        self.database.stopping = True
        self.wake()

    def close(self) -> None:
        """Stop the gateways and the labs. Then close the database and the pipes between the processes."""
        for running in self.gateways.values():
            running.gateway.stop(monotonic() + self.settings.grace)
        self.labs.close()
        self.database.close()
        self.message_wakeup.close()
        self.webhook_wakeup.close()
