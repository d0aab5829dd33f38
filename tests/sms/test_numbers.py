"""Tests of phone numbers: valid numbers, their country and carrier, and masking in logs."""

import subprocess
import sys
import tomllib

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import carrier

from phonify.sms.numbers import (
    Number,
    group_number,
    mask_number,
    parse_msisdn,
    parse_originator,
    parse_shown_number,
)
from tests.support.app import ROOT

# MSISDNs


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+12125550123", "US"),
        ("+16135550123", "CA"),
        ("+12425550100", "BS"),
        ("+442071838750", "GB"),
        ("+447781123456", "GG"),
        ("+33612345678", "FR"),
        ("+4915112345678", "DE"),
        ("+390612345678", "IT"),
        ("+79161234567", "RU"),
        ("+77011234567", "KZ"),
        ("+4790000000", "NO"),
        ("+4779000000", "SJ"),
        ("+8613800138000", "CN"),
        ("+61412345678", "AU"),
        ("+3544101234", "IS"),
    ],
)
def test_an_msisdn_has_the_country_it_belongs_to(text: str, country: str) -> None:
    number = parse_msisdn(text)

    assert number.number == text
    assert number.country == country


@pytest.mark.parametrize(("text", "country"), [("+14560000000", "US"), ("+15005550006", "US"), ("+449999999999", "GB")])
def test_a_number_that_no_operator_has_issued_has_the_main_region_of_its_calling_code(text: str, country: str) -> None:
    assert parse_msisdn(text) == Number(text, country, None)


@pytest.mark.parametrize("text", ["+80012345678", "+881612345678", "+8826123456"])
def test_a_number_of_no_country_has_none(text: str) -> None:
    assert parse_msisdn(text).country is None


@pytest.mark.parametrize(
    ("text", "carrier"), [("+41791234567", "Swisscom"), ("+61412345678", "Optus"), ("+12125550123", None)]
)
def test_the_carrier_is_named_where_it_is_known(text: str, carrier: str | None) -> None:
    assert parse_msisdn(text).carrier == carrier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "14560000000",
        "0014560000000",
        " +14560000000",
        "+14560000000 ",
        "+14560000000\n",
        "+1 4560000000",
        "+1-456-000-0000",
        "++14560000000",
        "+04560000000",
        "+1456000000",
        "+145600000000",
        "+1234567890123456",
        "+9991234567890",
        "+2101234567890",
        "+1",
        "+44",
        "+1456000000x",
        "+14560000000x123",
        "+1\N{ARABIC-INDIC DIGIT FOUR}560000000",
        "\N{FULLWIDTH PLUS SIGN}14560000000",
        "\0",
        "\ud800",
        "PHONIFY",
        "12345",
    ],
)
def test_anything_else_is_no_msisdn(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_msisdn(text)


def test_a_national_prefix_in_the_wrong_place_is_left_out() -> None:
    assert parse_msisdn("+4407400123456").number == "+447400123456"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+4900175757612", "+49175757612"),
        ("+490175757612", "+49175757612"),
        ("+330612345678", "+33612345678"),
        ("+789161234567", "+79161234567"),
        ("+114560000000", "+14560000000"),
        ("+390612345678", "+390612345678"),
    ],
)
def test_what_is_answered_is_read_as_itself(text: str, number: str) -> None:
    assert parse_msisdn(text).number == number
    assert parse_msisdn(number).number == number


@pytest.mark.parametrize("text", ["+86123456789012", "+541115234567890", "+549111523456789", "+5215512345678"])
def test_a_number_with_a_carrier_code_or_too_many_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_msisdn(text)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("+47580000123456", "NO"),
        ("+327700012345678", "BE"),
        ("+337000012345678", "FR"),
        ("+33700312345678", "FR"),
        ("+345901234567890", "ES"),
        ("+45371234567890", "DK"),
        ("+467190001234567", "SE"),
        ("+915755123456789", "IN"),
        ("+3197001234567", "NL"),
    ],
)
def test_numbers_of_machines_are_accepted(text: str, country: str) -> None:
    assert parse_msisdn(text) == Number(text, country, None)


@pytest.mark.parametrize("text", ["+4758000012345", "+475800001234567", "+47570000123456", "+32770001234567"])
def test_numbers_of_machines_have_the_length_of_their_plan(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_msisdn(text)


def test_each_plan_of_machine_numbers_has_a_source_and_fits_in_e164() -> None:
    plans = tomllib.loads((ROOT / "phonify/sms/machine_numbers.toml").read_text(encoding="utf-8"))["plan"]
    for plan in plans:
        assert plan.keys() == {"country_code", "begins_with", "digits", "source"}
        assert all(len(f"{plan['country_code']}") + digits <= 15 for digits in plan["digits"])
        assert "https://" in plan["source"]


@given(st.integers(0, 9_999_999))
def test_every_number_of_a_possible_length_is_taken_as_it_is(digits: int) -> None:
    text = f"+1456{digits:07d}"

    assert parse_msisdn(text).number == text


@given(st.text(max_size=20))
def test_any_text_is_an_msisdn_or_a_value_error(text: str) -> None:
    try:
        number = parse_msisdn(text).number
    except ValueError:
        return
    assert text.startswith("+")
    assert text[1:].isdigit()
    assert number.startswith("+")


# Originators


def test_an_msisdn_is_an_originator_with_its_country() -> None:
    assert parse_originator("+442071838750") == Number("+442071838750", "GB", None)


@pytest.mark.parametrize("text", ["123", "12345", "12345678"])
def test_a_short_code_of_3_to_8_digits_is_an_originator_of_no_country(text: str) -> None:
    assert parse_originator(text) == Number(text, None, None)


@pytest.mark.parametrize(
    "text",
    ["A", "PHONIFY", "My Shop 24", "ELEVEN CHAR", "24h", "1234567890a", "a b c d e f", "Test-SM", "AT&T", "S.H.O.P"]
    + ["shöp", "Ωmega", "H&M!", "A/B", "a@b.c", "(x)", "50% off", "a{}[]|", "€ 1 Shop"],
)
def test_up_to_11_septets_of_the_gsm_alphabet_with_a_letter_are_an_originator_of_no_country(text: str) -> None:
    assert parse_originator(text) == Number(text, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "12",
        "123456789",
        "1 2",
        "TWELVE CHARS",
        "abc{}[]|",  # 3 + 2 * 5 septets
        " SHOP",
        "SHOP ",
        "SHOP\n",
        "SH\nOP",
        "SH\rOP",
        "SH\fOP",
        "SH\x1bOP",
        "12345\n",
        "+",
        "+123",
        "+SHOP",
        "shôp",
        "SHOP™",
        "50%",
        "€€€",
        "\N{ARABIC-INDIC DIGIT FOUR}\N{ARABIC-INDIC DIGIT FOUR}\N{ARABIC-INDIC DIGIT FOUR}",
        "A\0B",
    ],
)
def test_anything_else_is_no_originator(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_originator(text)


# Masking


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+14560000000", "+145******00"),
        ("+442071838750", "+442*******50"),
        ("PHONIFY", "PHON*FY"),
        ("123456", "******"),
        ("12345", "*****"),
        ("", ""),
    ],
)
def test_a_masked_number_shows_its_ends_only(number: str, masked: str) -> None:
    assert mask_number(number) == masked


@pytest.mark.parametrize(
    ("number", "grouped"),
    [
        ("+4915112345678", "+49 1511 2345678"),
        ("+14560000000", "+1 456 000 0000"),
        ("+442071838750", "+44 20 7183 8750"),
        ("+819012345678", "+81 90 1234 5678"),
        ("+80012345678", "+800 1234 5678"),
    ],
)
def test_a_number_for_people_has_its_digits_in_groups(number: str, grouped: str) -> None:
    assert group_number(number) == grouped


@pytest.mark.parametrize(
    "number", ["+999123456", "+4915005550006123", "+1", "+", "12345", "SHOP", "7x7 ACME", "", "+ä"]
)
def test_a_sender_that_is_no_known_number_is_not_grouped(number: str) -> None:
    assert group_number(number) == number


CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@given(
    st.one_of(
        st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True),
        st.builds(
            "+{}{}{}".format,
            st.sampled_from(CODES),
            st.sampled_from(["", "0", "00", "1", "8", "9", "15", "44", "011"]),
            st.from_regex(r"[0-9]{0,12}", fullmatch=True),
        ).filter(lambda text: len(text) <= 16),
        st.builds(
            phonenumbers.format_number,
            st.sampled_from([n for n in map(phonenumbers.example_number, phonenumbers.SUPPORTED_REGIONS) if n]),
            st.just(phonenumbers.PhoneNumberFormat.E164),
        ),
    )
)
@settings(max_examples=400)
@example("+2612000000")  # the library adds the digits of the area code
def test_a_number_is_read_as_the_library_reads_it_and_loses_nothing_but_national_prefixes(text: str) -> None:
    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        parsed = None
    possible = parsed is not None and (
        phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    try:
        number = parse_msisdn(text)
    except ValueError:
        assert not possible or phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != text
    else:
        read = phonenumbers.parse(number.number)
        assert number.number == phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.E164)
        assert number.carrier == (carrier.name_for_number(read, "en") or None)
        assert parse_msisdn(number.number) == number
        code = str(read.country_code)
        left_out = text[1 + len(code) : len(text) - len(number.number[1 + len(code) :])]
        assert left_out.strip(find_national_prefix(read)) == ""


def find_national_prefix(parsed: phonenumbers.PhoneNumber) -> str:
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    return (metadata and metadata.national_prefix) or ""


def test_once_all_regions_are_loaded_no_number_reads_from_the_disk() -> None:
    code = """if True:
        import sys, phonenumbers
        from phonify.sms.numbers import load_regions, parse_msisdn
        load_regions()
        sys.meta_path.clear()  # nothing can be imported any more
        for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            for digits in ("5123456789", "612345678", "71234567", "9123456"):
                try:
                    parse_msisdn(f"+{code}{digits}")
                except ValueError:
                    pass
        print("read", parse_msisdn("+14560000000").country)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("read US\n", "")


@pytest.mark.parametrize(
    ("shown", "country", "number"),
    [
        ("070-123 45 67", "SE", "+46701234567"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("0046701234567", "SE", "+46701234567"),
        ("46701234567", "SE", "+46701234567"),
        ("+46 70 123 45 67", None, "+46701234567"),
    ],
)
def test_a_number_as_a_phone_shows_it_gets_its_e164_form(shown: str, country: str | None, number: str) -> None:
    assert parse_shown_number(shown, country) == number
    assert parse_msisdn(number).number == number


@pytest.mark.parametrize("shown", ["71000", "112", "Bank", "1-800-FLOWERS", "+", "", "+99999", "0701234567;ext=5"])
def test_what_is_not_a_number_in_use_stays_as_the_phone_shows_it(shown: str) -> None:
    assert parse_shown_number(shown, "SE") == shown


def test_a_national_number_stays_as_it_is_if_the_country_is_unknown() -> None:
    assert parse_shown_number("0701234567", None) == "0701234567"


@given(st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True))
def test_grouping_changes_no_digit(number: str) -> None:
    assert group_number(number).replace(" ", "") == number


@pytest.mark.parametrize(
    ("text", "reason"), [("+2612000000", "too few digits"), ("+541115123456789", "too many digits")]
)
def test_a_number_whose_digits_the_library_would_change_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_msisdn(text)
