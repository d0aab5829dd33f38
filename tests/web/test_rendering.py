"""Tests of what templates get: the faults of a form."""

from phonify.errors import Fault
from phonify.web.rendering import place_faults


def test_each_fault_stands_at_its_field_in_the_order_of_the_fields_and_the_others_apart():
    body, to, other = Fault("missing_argument", "body"), Fault("invalid_msisdn", "to"), Fault("internal_error")
    placed = place_faults([body, other, to], ["to", "body"])
    assert list(placed["wrong"].items()) == [("to", to), ("body", body)]
    assert placed["faults"] == [other]


def test_of_two_faults_of_one_field_the_first_one_is_shown():
    first, second = Fault("invalid_text", "body"), Fault("missing_argument", "body")
    assert place_faults([first, second], ["body"]) == {"wrong": {"body": first}, "faults": []}
