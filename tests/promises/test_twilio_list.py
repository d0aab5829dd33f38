"""The Twilio-compatible API: the list of messages, its filters and its pages in both directions."""

import pytest

from tests.support.twilio import MESSAGES, MG, OWN, PHONE, TwilioApi, read_error

OTHER = "+14155552672"
KEYS = {
    "messages",
    "page",
    "page_size",
    "start",
    "end",
    "uri",
    "first_page_uri",
    "next_page_uri",
    "previous_page_uri",
}


@pytest.fixture
def seven(twilio) -> list[str]:
    """The bodies of seven messages, the newest first."""
    for number in range(7):
        twilio.create(Body=str(number), To=OTHER if number % 2 else PHONE)
    return ["6", "5", "4", "3", "2", "1", "0"]


def bodies(page: dict) -> list[str]:
    return [message["body"] for message in page["messages"]]


def test_the_list_has_nine_keys_and_the_newest_message_first(twilio, seven):
    page = twilio.list()
    assert page.keys() == KEYS
    assert bodies(page) == seven
    assert (page["page"], page["page_size"], page["start"], page["end"]) == (0, 50, 0, 6)
    assert (page["next_page_uri"], page["previous_page_uri"]) == (None, None)
    assert (page["uri"], page["first_page_uri"]) == (MESSAGES, f"{MESSAGES}?PageSize=50&Page=0")


def test_an_empty_list_is_a_page_too(twilio):
    page = twilio.list()
    assert (page["messages"], page["start"], page["end"], page["next_page_uri"]) == ([], 0, 0, None)


def test_pages_lead_forward_and_back(twilio, seven):
    first = twilio.list(PageSize=3)
    second = twilio.get(first["next_page_uri"])
    third = twilio.get(second["next_page_uri"])
    assert [bodies(page) for page in (first, second, third)] == [seven[:3], seven[3:6], seven[6:]]
    assert [(page["page"], page["start"], page["end"]) for page in (first, second, third)] == [
        (0, 0, 2),
        (1, 3, 5),
        (2, 6, 6),
    ]
    assert third["next_page_uri"] is None
    assert first["previous_page_uri"] is None
    back = twilio.get(third["previous_page_uri"])
    assert (bodies(back), back["page"]) == (seven[3:6], 1)
    assert bodies(twilio.get(back["next_page_uri"])) == seven[6:]
    begin = twilio.get(back["previous_page_uri"])
    assert (bodies(begin), begin["page"], begin["previous_page_uri"]) == (seven[:3], 0, None)
    assert bodies(twilio.get(third["first_page_uri"])) == seven[:3]


def test_pages_of_the_right_length_end_without_a_next_page(twilio, seven):
    assert twilio.list(PageSize=7)["next_page_uri"] is None
    page = twilio.list(PageSize=6)
    assert bodies(twilio.get(page["next_page_uri"])) == ["0"]


def test_pages_stay_where_they_are_if_messages_come_and_go(twilio, seven, deliver):
    first = twilio.list(PageSize=3)
    deliver()
    twilio.create(Body="new")
    twilio.call("DELETE", first["messages"][-1]["uri"])
    second = twilio.get(first["next_page_uri"])
    assert bodies(second) == seven[3:6]
    assert bodies(twilio.get(second["previous_page_uri"])) == ["new", "6", "5"]


def test_pages_keep_the_filters(twilio, seven):
    page = twilio.list(PageSize=2, To=OTHER)
    assert f"To=%2B{OTHER[1:]}&PageSize=2" in page["next_page_uri"]
    rest = twilio.get(page["next_page_uri"])
    assert (bodies(page), bodies(rest)) == (["5", "3"], ["1"])
    assert bodies(twilio.get(rest["previous_page_uri"])) == ["5", "3"]


@pytest.mark.parametrize(("given", "size"), [("1", 1), ("0", 1), ("1000", 1_000), ("1001", 1_000), ("", 50)])
def test_a_page_has_1_to_1000_messages(twilio, given, size):
    assert twilio.list(PageSize=given)["page_size"] == size


@pytest.mark.parametrize("name", ["PageSize", "Page"])
@pytest.mark.parametrize("given", ["-1", "ten", "1.5", "9999999999", "٣"])
def test_what_is_no_number_is_refused(twilio, name, given):
    response = twilio.call("GET", MESSAGES, query_string={name: given})
    assert read_error(response) == (400, 20001, f"{name} must be a whole number.")


@pytest.mark.parametrize("token", ["PA", "x", f"PC{'SM' + 'a' * 32}", f"PASM{'A' * 32}", "PASM019c", "'"])
def test_a_bad_page_token_is_refused(twilio, token):
    response = twilio.call("GET", MESSAGES, query_string={"PageToken": token})
    assert read_error(response) == (400, 20001, "The page token is not valid.")


def test_a_token_of_a_message_that_is_not_there_is_a_place_in_the_order(twilio, seven):
    assert bodies(twilio.list(PageToken=f"PASM{'0' * 32}")) == []
    assert bodies(twilio.list(PageToken=f"PASM{'f' * 32}")) == seven
    assert bodies(twilio.list(PageToken=f"PBMM{'0' * 32}")) == seven


def test_a_token_of_another_account_shows_nothing_of_it(app, twilio, seven, operator):
    other = TwilioApi(app, f"AC{2:032x}", operator.make_key("other"))
    sid = other.create(Body="theirs")["sid"]
    assert bodies(twilio.list(PageToken=f"PA{sid}")) == seven


def test_messages_are_found_by_recipient_and_sender(twilio, client):
    twilio.create(From="ACME", Body="a")
    twilio.create(From="12345", To=OTHER, Body="b")
    client.post("/sandbox/inbound", json={"from": PHONE, "to": OWN, "body": "c"})
    assert bodies(twilio.list(To=PHONE)) == ["a"]
    assert bodies(twilio.list(To=OWN)) == ["c"]
    assert bodies(twilio.list(From=PHONE)) == ["c"]
    assert bodies(twilio.list(From="ACME")) == ["a"]
    assert bodies(twilio.list(From="12345", To=OTHER)) == ["b"]
    assert bodies(twilio.list(From="12345", To=PHONE)) == []
    assert bodies(twilio.list(To="nobody")) == []
    assert bodies(twilio.get(f"{MESSAGES}?To={PHONE}")) == ["a"]  # the plus sign was not escaped


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("DateSent=2026-01-31", "10"),
        ("DateSent=2026-02-01", "32"),
        ("DateSent=2026-02-03", ""),
        ("DateSent%3C=2026-01-31", "10"),
        ("DateSent<=2026-02-01", "3210"),
        ("DateSent%3E=2026-02-01", "432"),
        ("DateSent>=2026-02-02", "4"),
        ("DateSent>=2026-01-31&DateSent<=2026-02-01", "3210"),
        ("DateSent=2026-01-31T09:30:00Z", "0"),
        ("DateSent>=2026-01-31T21:30:00Z", "4321"),
        ("DateSent>=2026-01-31T21:30:01Z", "432"),
        ("DateSent<=2026-01-31T21:30:00Z", "10"),
        ("DateSent<=2026-01-31T21:29:59Z", "0"),
        ("DateSent<=2026-01-31T22:30:00%2B01:00", "10"),
        ("DateSent<=2026-01-31T22:30:00+01:00", "10"),
        ("DateSent%3E=9999-12-30", ""),
    ],
)
def test_messages_are_found_by_the_time_of_sending(twilio, deliver, clock, query, found):
    for number in range(5):
        twilio.create(Body=str(number))
        deliver()
        clock.advance(43_200)
    twilio.create(Body="waits")
    assert "".join(bodies(twilio.get(f"{MESSAGES}?{query}"))) == found


@pytest.mark.parametrize("given", ["today", "2026-13-01", "2026-01-31T09:30:00", "0000-00-00", "31.1.2026"])
@pytest.mark.parametrize("name", ["DateSent", "DateSent<", "DateSent>"])
def test_what_is_no_date_is_refused(twilio, name, given):
    response = twilio.call("GET", MESSAGES, query_string={name: given})
    assert read_error(response) == (400, 20001, "DateSent must be a date, or a time in ISO 8601.")


def test_a_cancelled_message_was_not_sent(twilio):
    sent = twilio.create(MessagingServiceSid=MG, ScheduleType="fixed", SendAt="2026-01-31T10:00:00Z")
    twilio.call("POST", sent["uri"], {"Status": "canceled"})
    assert bodies(twilio.list(DateSent="2026-01-31")) == []
    assert len(twilio.list()["messages"]) == 1
