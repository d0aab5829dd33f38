"""The signature of requests in Twilio's form is that of Twilio's own package."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from phonify.outgoing.twilio_signature import sign

HOOK = "https://sms.example.org/hook"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_the_signature_is_that_of_the_sdk(token: str, parameters: dict[str, str]) -> None:
    try:
        expected = RequestValidator(token).compute_signature(HOOK, parameters)
    except UnicodeEncodeError:  # unpaired surrogates, which no message has
        with pytest.raises(ValueError, match="surrogates"):
            sign(token, HOOK, parameters.items())
        return
    assert sign(token, HOOK, parameters.items()) == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))))
def test_the_signature_of_repeated_parameters_is_that_of_the_sdk(pairs: list[tuple[str, str]]) -> None:
    class Multi(MultiDict[str, str]):  # with the method that the SDK asks for
        getall = MultiDict.getlist

    assert sign("token", HOOK, pairs) == RequestValidator("token").compute_signature(HOOK, Multi(pairs))
