"""Tests of opt-outs: keywords, allowed settings, and opt-outs of another process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.domain import accounts
from phonify.errors import InvalidRequest
from phonify.gateways.base import Taken
from phonify.schemas.fields import Recipient
from phonify.schemas.keywords import read_keyword_settings
from phonify.schemas.requests import Draft
from phonify.sms.keywords import find_keyword, normalize_keyword
from phonify.sms.numbers import parse_msisdn, parse_originator
from phonify.storage.subscriptions import KeywordReplies
from tests.support.fake_gateway import OnceGateway

PHONE = "+14560000000"
OWN = "+15005550006"


class RecordingGateway(OnceGateway):
    """Takes all messages, or fails as the test says. It records the recipients."""

    def __init__(self, *failures):
        super().__init__()
        self.failures = list(failures)
        self.sent = []

    def act(self, message):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            return failure
        self.sent.append((message.to, message.body))
        return Taken()


@pytest.fixture
def gateway():
    return RecordingGateway()


@pytest.fixture
def app(make_app, gateway):
    return make_app(gateway=gateway)


@pytest.fixture
def account(services, clock):
    return accounts.ensure_default_account(services.database, clock)


@pytest.fixture
def text(services, account):
    """Return a function that sends a text from a phone to the account."""

    def text(body, sender=PHONE, to=OWN, account=account):
        return services.receiving.receive(account, sender=parse_originator(sender), to=parse_originator(to), body=body)

    return text


@pytest.fixture
def accept(services, account):
    """Return a function that sends messages from the account."""

    def accept(*to, body="Hello", account=account, **options):
        recipients = [Recipient(parse_msisdn(number), f"to[{index}]") for index, number in enumerate(to or (PHONE,))]
        return services.sending.send(account, Draft(recipients, body, **options))

    return accept


# Keywords


@pytest.mark.parametrize("word", ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
def test_the_usual_words_opt_out_in_any_case(word):
    assert {find_keyword(word), find_keyword(word.lower()), find_keyword(word.title())} == {"stop"}


@pytest.mark.parametrize("word", ["START", "UNSTOP", "YES"])
def test_the_usual_words_opt_in_in_any_case(word):
    assert {find_keyword(word), find_keyword(word.lower()), find_keyword(word.title())} == {"start"}


@pytest.mark.parametrize("word", ["HELP", "help", "Help?"])
def test_help_asks_for_help(word):
    assert find_keyword(word) == "help"


@pytest.mark.parametrize(
    "text",
    [" stop ", "STOP.", "STOP!!!", '"Stop"', "“Stop”", "¡stop!", "(stop)", "*STOP*", "`stop`", "~stop~", "+stop+",
     "\n\tstop\r\n", "\u00a0stop\u3000", "\ufeffstop", "stop\0", "…stop…", "<stop>", "$stop^", "'stop’"],
)  # fmt: skip
def test_punctuation_and_spaces_around_a_keyword_do_not_matter(text):
    assert find_keyword(text) == "stop"


@pytest.mark.parametrize(
    "text",
    ["STOP", "STOP ALL", "stop-all", "opt out", "OPT-OUT", "Opt  out", "opt\u00a0out", "opt\u2011out", "Un-subscribe"],
)
def test_a_keyword_of_two_words_is_known_with_a_space_or_a_hyphen(text):
    assert find_keyword(text) == "stop"
    assert find_keyword("un-stop") == "start"


@pytest.mark.parametrize(
    "text",
    ["STOP 🙏", "🙏🏽 STOP 🙏🏽", "stop 🛑", "stop❤\ufe0f", "Stop👩\u200d💻!", "STOP #\ufe0f\u20e3", "opt 🙏 out"],
)
def test_emoji_around_a_keyword_do_not_matter(text):
    assert find_keyword(text) == "stop"
    assert (find_keyword("START 🙂"), find_keyword("Help 🙏")) == ("start", "help")


@pytest.mark.parametrize(
    "text",
    ["ST\u200bOP", "S\u00adTOP", "\u2066STOP\u2069", "ST\ufe0fOP", "ST\u034fOP", "S\u3164TOP", "\ufeffSTOP\u200d"],
)
def test_invisible_characters_in_a_keyword_do_not_matter(text):
    assert find_keyword(text) == "stop"


@pytest.mark.parametrize("text", ["ＳＴＯＰ", "ＯＰＴ－ＯＵＴ", "ⓈⓉⓄⓅ", "𝐒𝐓𝐎𝐏", "ſtop"])
def test_compatibility_forms_of_a_keyword_do_not_matter(text):
    assert find_keyword(text) == "stop"


@pytest.mark.parametrize(
    ("own", "text"),
    [("ARRÊT", "arre\u0302t"), ("arre\u0302t", "ARRÊT!"), ("NO  MORE", "no more"), ("No-more", "no \u00a0more 🙏"),
     ("STRASSE", "straße"), ("🛑", "🛑")],
)  # fmt: skip
def test_an_own_keyword_is_compared_in_its_normal_form(own, text):
    assert find_keyword(text, [own]) == "stop"


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", "please stop", "stop it", "STOP STOP", "s.t.o.p", "sto p", "nonstop", "stops", "stop1", "1 stop",
     "don't stop", "yes please", "helper", "étop", "STOP 12345", "s-t-o-p", "🛑", "\u200b"],
)  # fmt: skip
def test_a_keyword_is_the_whole_text(text):
    assert find_keyword(text) is None


def test_own_words_opt_out_beside_the_usual_ones():
    assert find_keyword("no more!", ["NO MORE"]) == "stop"
    assert find_keyword("stop", ["NO MORE"]) == "stop"
    assert find_keyword("ΤΕΛΟΣ", ["τελος"]) == "stop"
    assert find_keyword("more", ["NO MORE"]) is None


@given(st.text(max_size=160))
def test_any_text_can_be_looked_at_and_normalizing_it_again_changes_nothing(text):
    normalized = normalize_keyword(text)
    assert normalize_keyword(normalized) == normalized
    assert find_keyword(text) in (None, "stop", "start", "help")


# Waiting messages to a phone that opts out


def test_a_scheduled_message_to_a_phone_that_opted_out_meanwhile_ends_in_error(
    text, accept, gateway, message_loop, clock, services, account
):
    (message,) = accept(send_at=clock.now().replace(hour=12)).messages
    text("STOP")
    clock.advance(3 * 3_600)
    message_loop.deliver_due()
    found = services.sending.find(account, message.id)
    assert (found.state, found.error_type, found.attempts, gateway.sent) == ("error", "opted_out", 0, [])


# Allowed settings


def test_empty_texts_are_none():
    given = {"stop_reply": "", "start_reply": " ", "help_reply": "Call us"}
    assert read_keyword_settings(["", " "], given) == KeywordReplies((), None, None, "Call us")


def test_a_keyword_is_kept_once_and_the_usual_ones_are_left_out():
    assert read_keyword_settings([" Enough ", "ENOUGH!", "stop", "Ende"], {}).stop_keywords == ("ENOUGH!", "Ende")


@pytest.mark.parametrize("keyword", ["START", "yes!", "Help", "...", "a,b", "x" * 41, "two\nlines", "\0"])
def test_what_can_be_no_keyword_of_one_s_own(keyword):
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings([keyword], {})
    assert [(fault.type, fault.param) for fault in refused.value.faults] == [("invalid_keyword", "stop_keywords")]


def test_there_may_be_twenty_keywords_and_no_more():
    assert len(read_keyword_settings([f"word {n}" for n in range(20)], {}).stop_keywords) == 20
    with pytest.raises(InvalidRequest):
        read_keyword_settings([f"word {n}" for n in range(21)], {})


@pytest.mark.parametrize(
    ("reply", "type_"),
    [("x" * 161, "text_too_long"), ("a\0b", "invalid_text"), ("\ud800", "invalid_text"), ("Help!", "reply_is_keyword"),
     ("start", "reply_is_keyword"), (" STOP ", "reply_is_keyword")],
)  # fmt: skip
def test_what_can_be_no_reply(reply, type_):
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings([], {"help_reply": reply})
    assert [(fault.type, fault.param) for fault in refused.value.faults] == [(type_, "help_reply")]


def test_all_that_is_wrong_is_named_together():
    with pytest.raises(InvalidRequest) as refused:
        read_keyword_settings(["YES"], {"stop_reply": "x" * 161, "start_reply": "STOP"})
    assert [fault.param for fault in refused.value.faults] == ["stop_keywords", "stop_reply", "start_reply"]


def test_a_reply_of_160_characters_may_be_set():
    assert read_keyword_settings([], {"stop_reply": "é" * 160}).stop_reply == "é" * 160


# The list


@pytest.mark.parametrize("others", [0, 100])
def test_an_opt_out_of_which_another_process_was_told_counts_at_once(services, make_app, account, others):
    other = make_app().extensions["phonify"]
    phone, own = parse_msisdn("+14560000000"), parse_msisdn("+15005550006")
    other.receiving.receive(account, sender=phone, to=own, body="STOP")
    phones = ["+14560000000", *(f"+1456000{number:04}" for number in range(1, others + 1))]
    recipients = [Recipient(parse_msisdn(phone), f"to[{index}]") for index, phone in enumerate(phones)]
    accepted = services.sending.send(account, Draft(recipients, "Hello"))
    assert [(fault.type, fault.param) for fault in accepted.faults] == [("opted_out", "to[0]")]
    assert [message.state for message in accepted.messages] == ["error", *["unconfirmed"] * others]
