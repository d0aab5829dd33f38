"""The gateway `http` with a real Kannel and its fake SMSC, configured as the guide says."""

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from phonify.gateways.base import GatewayFault, Later, OutboundMessage, Taken
from phonify.gateways.events import CallbackRequest, GatewayEvent, Receipt, Received
from phonify.gateways.http import TemplateGateway
from phonify.ids import generate_ids
from phonify.sms.segments import split_segments
from tests.gateways.contract import send
from tests.support.http_providers import make_variables
from tests.support.kannel import INSTALLED, Kannel, Sms, running_kannel
from tests.support.load import wait_until
from tests.support.receivers import Received as Posted
from tests.support.receivers import Receiver, status

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not INSTALLED, reason="Kannel is not on this machine")]

PASSWORD, SECRET = "password-of-kannel", "0123456789abcdef0123"
NUMBERS = count(1_456_000_0000)


class Site:
    """Kannel, and the gateway with all that it hears."""

    def __init__(self, folder: Path) -> None:
        self.events: list[GatewayEvent] = []
        self.refuse_next = threading.Event()
        self.receiver = Receiver(self._hear)
        self.gateway = self.make_gateway("http://127.0.0.1:1/")
        self.running = running_kannel(folder, callbacks=self.receiver.port, password=PASSWORD, secret=SECRET)

    def make_gateway(self, url: str, password: str = PASSWORD) -> TemplateGateway:
        environ = make_variables(url, PRESET="kannel", PASSWORD=password, CALLBACK_SECRET=SECRET)
        environ["PHONIFY_PUBLIC_URL"] = f"http://127.0.0.1:{self.receiver.port}"
        return TemplateGateway.from_environ(environ)

    def _hear(self, client: socket.socket, posted: Posted) -> None:
        method, address, _ = posted.line.split(" ")
        path, _, query = address.partition("?")
        path = path.removeprefix("/gateways/http/")
        url = f"http://127.0.0.1:{self.receiver.port}{address}"
        if self.refuse_next.is_set() and path.endswith("/inbound"):
            self.refuse_next.clear()
            status(503)(client, posted)
            return
        heard = self.gateway.hear(
            CallbackRequest(method, path, url, parse_qsl(query), posted.headers, posted.body, datetime.now(UTC))
        )
        self.events += heard.events
        status(heard.answer.status, body=heard.answer.body)(client, posted)

    def receipts(self, *messages: OutboundMessage) -> list[Receipt]:
        """Return the receipts of some messages. Those of an earlier test may come late."""
        ids = {message.id for message in messages}
        return [event for event in self.events if isinstance(event, Receipt) and event.message_id in ids]

    def texts(self) -> list[Received]:
        return [event for event in self.events if isinstance(event, Received)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("kannel"))
    with site.running as kannel:
        kannel.start_smsc()
        site.gateway = site.make_gateway(kannel.url)
        site.kannel = kannel  # type: ignore[attr-defined]
        yield site
    site.receiver.close()


@pytest.fixture
def kannel(site: Site) -> Iterator[Kannel]:
    """Kannel, with a fake SMSC that has got nothing yet."""
    kannel: Kannel = site.kannel  # type: ignore[attr-defined]
    kannel.stop_smsc()
    kannel.start_smsc()
    site.events.clear()
    return kannel


def make_message(body: str, origin: str = "+15005550006") -> OutboundMessage:
    id_ = next(generate_ids(datetime.now(UTC)))
    return OutboundMessage(id_, origin, f"+{next(NUMBERS)}", body, 1)


def outcome_of(gateway: TemplateGateway, message: OutboundMessage) -> object:
    ((_, outcome),) = send(gateway, message)
    return outcome


def join(parts: list[Sms], encoding: str) -> str:
    """Return the text of SMS as a phone would join them. A phone decodes each by itself."""
    parts = sorted(parts, key=lambda sms: sms.header[-1:])
    if len(parts) > 1:
        assert {sms.header[:4] for sms in parts} == {parts[0].header[:4]}
        assert [tuple(sms.header[4:]) for sms in parts] == [(len(parts), number + 1) for number in range(len(parts))]
    return "".join(sms.data.decode("utf-8" if encoding == "gsm7" else "utf-16-be") for sms in parts)


TEXTS = [
    *("Hello", "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ^{}\\[~]|€", "a+b & c=d 100% <x> 'y' \"z\"", "x" * 160, "€" * 80),
    *("ж" * 70, "Grüße “quoted” `ç`", "😀" * 35),
    *("x" * position + "€[]" * 30 + "y" * 90 for position in range(146, 156)),
    *("ж" * position + "😀" * 40 for position in range(60, 71)),
    *("x" * 161, "ж" * 71, "😀" * 160, "€" * 160, "x" * 1_600),
]


def test_each_text_arrives_whole_in_as_many_sms_as_phonify_counts(site: Site, kannel: Kannel) -> None:
    messages = [make_message(body) for body in TEXTS]
    for message in messages:
        assert outcome_of(site.gateway, message) == Taken()
    expected = {message.to: split_segments(message.body) for message in messages}
    arrived = defaultdict(list)
    for sms in kannel.wait_for_sms(sum(len(segments) for _, segments in expected.values())):
        arrived[sms.to].append(sms)
    for message in messages:
        encoding, segments = expected[message.to]
        assert len(arrived[message.to]) == len(segments)
        assert join(arrived[message.to], encoding) == message.body


@pytest.mark.parametrize("origin", ["+15005550006", "12345", "My Shop 24", "Ä&Ö+%"])
def test_a_sender_arrives_as_it_was_given(site: Site, kannel: Kannel, origin: str) -> None:
    assert outcome_of(site.gateway, make_message("Hello", origin)) == Taken()
    assert kannel.wait_for_sms(1)[0].sender == origin


def test_receipts_come_for_each_segment_and_say_that_all_are_delivered(site: Site, kannel: Kannel) -> None:
    short, long = make_message("Hello"), make_message("x" * 400)
    for message in short, long:
        assert outcome_of(site.gateway, message) == Taken()
    wait_until(lambda: len(site.receipts(short, long)) == 6)
    receipts = site.receipts(short, long)
    found = sorted((receipt.message_id == long.id, receipt.status, receipt.partial) for receipt in receipts)
    segments = [(True, "delivered", True)] * 3
    assert found == [(False, "delivered", False), (False, "sent", False), *segments, (True, "sent", True)]
    assert len({receipt.event_id for receipt in receipts}) == 6
    assert all(receipt.reference for receipt in receipts if receipt.status == "delivered")


def test_the_text_of_the_guide_comes_from_the_phone(site: Site, kannel: Kannel) -> None:
    kannel.stop_smsc()
    kannel.start_smsc_of_guide()
    wait_until(site.texts)
    (text,) = site.texts()
    assert (text.sender, text.to, text.body) == ("+46700000001", "+15005550006", "Hello")
    assert text.at is not None
    assert abs((datetime.now(UTC) - text.at).total_seconds()) < 60


@pytest.mark.parametrize(
    ("sms", "sender", "body"),
    [
        ("46700000001 12345 text a+b & 100% €åÄ", "+46700000001", "a+b & 100% €åÄ"),
        ("0046700000001 12345 ucs-2 %D8%3D%DE%00%04%16", "+46700000001", "😀Ж"),
        ("My+Shop 12345 text STOP", "My+Shop", "STOP"),
    ],
)
def test_texts_from_phones_keep_their_characters(site: Site, kannel: Kannel, sms: str, sender: str, body: str) -> None:
    kannel.stop_smsc()
    kannel.start_smsc("-m", "1", sms.replace("ucs-2", "ucs2"))
    wait_until(site.texts)
    (text,) = site.texts()
    assert (text.sender, text.to, text.body) == (sender, "12345", body)


def test_the_parts_of_a_long_text_from_a_phone_come_joined(site: Site, kannel: Kannel) -> None:
    for part, body in (2, "world"), (1, "Hello"):
        kannel.stop_smsc()
        header = f"%05%00%03%09%02%{part:02}"
        smsc = kannel.start_smsc("-m", "1", f"+46700000001 12345 udh-text {header} {body}")
        smsc.wait_for("sent message 1")
    wait_until(site.texts)
    assert [text.body for text in site.texts()] == ["Helloworld"]


def test_a_binary_sms_is_not_taken_for_a_text(site: Site, kannel: Kannel, caplog: pytest.LogCaptureFixture) -> None:
    kannel.stop_smsc()
    kannel.start_smsc("-m", "1", "+46700000001 12345 data %01%02%ff")
    wait_until(lambda: "it is binary" in caplog.text)
    assert site.texts() == []


def test_a_text_that_phonify_could_not_store_comes_again_as_the_same_event(site: Site, kannel: Kannel) -> None:
    kannel.stop_smsc()
    site.refuse_next.set()
    before = len(site.receiver.received)
    kannel.start_smsc("-m", "1", "+46700000001 12345 text Hello")
    wait_until(site.texts)

    def list_posted() -> list[str]:
        # The receipt of an earlier test may come meanwhile.
        return [posted.line for posted in site.receiver.received[before:] if "/inbound?" in posted.line]

    wait_until(lambda: len(list_posted()) >= 2)
    assert len(set(list_posted())) == 1


def test_a_probe_sends_nothing(site: Site, kannel: Kannel) -> None:
    assert site.gateway.probe() == f"127.0.0.1:{kannel.ports[13013]} is ready"
    assert outcome_of(site.gateway, make_message("Hello")) == Taken()
    assert len(kannel.wait_for_sms(1)) == 1


def test_a_wrong_password_pauses_the_gateway(site: Site, kannel: Kannel) -> None:
    gateway = site.make_gateway(kannel.url, password="wrong")
    outcome = outcome_of(gateway, make_message("Hello"))
    assert isinstance(outcome, Later)
    assert outcome.pause
    with pytest.raises(GatewayFault, match=r"answered with status 403.*; check the credentials: PHONIFY_HTTP_USERNAME"):
        gateway.probe()


def test_a_message_waits_in_kannel_while_the_smsc_is_down_and_arrives_once(site: Site, kannel: Kannel) -> None:
    kannel.stop_smsc()
    message = make_message("Waiting")
    assert outcome_of(site.gateway, message) == Taken()
    kannel.start_smsc()
    wait_until(lambda: "delivered" in [receipt.status for receipt in site.receipts(message)])
    assert [sms.to for sms in kannel.wait_for_sms(1)] == [message.to]


def test_without_kannel_a_message_is_sent_later_and_what_kannel_had_is_not_lost(site: Site, kannel: Kannel) -> None:
    kannel.stop_smsc()
    waiting, later = make_message("Waiting"), make_message("Later")
    assert outcome_of(site.gateway, waiting) == Taken()
    kannel.kill()
    outcome = outcome_of(site.gateway, later)
    assert isinstance(outcome, Later)
    assert outcome.pause
    kannel.start()
    kannel.start_smsc()
    assert outcome_of(site.gateway, later) == Taken()
    assert sorted(sms.to for sms in kannel.wait_for_sms(2)) == [waiting.to, later.to]
