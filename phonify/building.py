"""Builds the services of an app from its settings: which part gets which other part."""

import threading
from datetime import timedelta

from .clock import Clock
from .config import Settings
from .delivery.rule_effects import RuleEffects
from .delivery.running_gateway import RunningGateway
from .domain.accounts import KeyRing
from .domain.changing import Changing
from .domain.conversations import Conversations
from .domain.fronts import Fronts
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
from .gateways.base import Gateway
from .lab.labs import Labs
from .services import Services
from .storage.database import Database
from .storage.wakeup import Wakeup


def build_services(
    settings: Settings, machine_clock: Clock, gateway: Gateway, release_gateway: Gateway | None = None
) -> Services:
    """Create all parts. Opens no file."""
    database = Database(settings.database)
    clock = ServerClock(database, machine_clock, can_change=gateway.sandbox and release_gateway is None)
    private_webhooks = gateway.sandbox if settings.webhook_private is None else settings.webhook_private
    webhooks = Webhooks(database, clock, private_allowed=private_webhooks)
    fronts = Fronts(database, clock, private_allowed=private_webhooks, default_token=settings.twilio_auth_token)
    subscriptions = Subscriptions(database, clock)
    rules = Rules(database, clock, gateway)
    only_to = frozenset(settings.only_to)
    main_only_to = frozenset[str]() if gateway.sandbox else only_to

    def make_sending(one: Gateway, only_to: frozenset[str], rules: Rules) -> Sending:
        return Sending(
            database,
            one,
            clock,
            webhooks,
            subscriptions,
            rules,
            origin=settings.origin,
            validity=settings.validity,
            most_waiting=settings.waiting,
            only_to=only_to,
        )

    sending = make_sending(gateway, main_only_to, rules)
    receiving = Receiving(database, clock, webhooks, subscriptions, sending, rules)
    receipts = Receipts(webhooks)
    inbound = Inbound(database, clock, receiving, origin=settings.origin)
    limits = {1: settings.gateway_per_second, 60: settings.gateway_per_minute, 3600: settings.gateway_per_hour}
    rates = {seconds: most for seconds, most in limits.items() if most is not None}

    def run(one: Gateway, only_to: frozenset[str]) -> RunningGateway:
        if settings.gateway_window is not None:
            one.limits = one.limits._replace(calls=max(settings.gateway_window // one.limits.batch, 1))
        return RunningGateway(database, one, clock, webhooks, receipts, inbound, rules, rates=rates, only_to=only_to)

    gateways, senders, releasing = {gateway.name: run(gateway, main_only_to)}, {gateway.name: sending}, None
    if release_gateway is not None:
        senders[release_gateway.name] = releasing = make_sending(
            release_gateway, only_to, Rules(database, clock, release_gateway)
        )
        gateways[release_gateway.name] = run(release_gateway, only_to)
    healths = {name: running.health for name, running in gateways.items()}
    keys = KeyRing(database, clock)
    services = Services(
        settings=settings,
        clock=clock,
        database=database,
        message_wakeup=Wakeup(),
        gateway=gateway,
        gateways=gateways,
        inbound=inbound,
        keys=keys,
        sending=sending,
        changing=Changing(database, clock, webhooks, subscriptions, senders, rules, main=gateway.name),
        receiving=receiving,
        conversations=Conversations(database),
        history=Histories(database, clock, webhooks, healths=healths),
        releasing=Releasing(database, gateway.name, releasing),
        senders=senders,
        moving=Moving(database, clock, webhooks, senders, rules, main=gateway.name),
        retention=Retention(
            database,
            clock,
            most_messages=settings.retain_messages,
            longest=timedelta(days=settings.retain_days) if settings.retain_days is not None else None,
        ),
        rules=rules,
        rule_effects=RuleEffects(database, clock, receipts, receiving),
        runs=Runs(database, clock, fronts),
        sessions=Sessions(database, clock, keys),
        subscriptions=subscriptions,
        webhook_wakeup=Wakeup(),
        webhooks=webhooks,
        fronts=fronts,
        labs=Labs(database, clock, webhooks, fronts),
        front_pages=[],
        observers={"webhook": lambda _outcome, _seconds: None},
        prepared=threading.Event(),
    )
    database.committed = services.wake
    return services
