"""The rules for what may be stored."""

from __future__ import annotations

import string
import unicodedata

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.domain.model import FIELDS, LENGTHS
from directory.domain.validation import check, shown_phone
from tests.services.harness import VALID

REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
anything = st.one_of(
    st.text(max_size=400), st.none(), st.integers(), st.lists(st.text(max_size=3), max_size=2)
)


def checked(**changes: object):  # type: ignore[no-untyped-def]
    return check({**VALID, **changes}, region="US")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, anything)))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_in_either_is_refused_or_fits_the_columns(given_fields: dict[str, object]) -> None:
    result = check(given_fields, region="US")
    assert set(result.errors) | set(result.fields) == set(FIELDS)
    if not result.errors:
        for field, value in result.fields.items():
            assert 0 < len(value) <= LENGTHS[field]
            assert value == value.strip()
            value.encode()


@given(
    st.text(
        alphabet=st.characters(
            exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp"], exclude_characters=REORDERING
        ),
        max_size=80,
    ),
    st.characters(categories=["Lu", "Ll", "Nd", "Sc", "Po"]),
)
@settings(max_examples=300, deadline=None)
def test_any_visible_name_survives_as_it_was_typed(name: str, visible: str) -> None:
    name += visible
    assert checked(name=name).fields["name"] == unicodedata.normalize("NFC", name.strip())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        "\u200b",
        "\u3164",
        "\u2800",
        "\u00ad",
        "\u200d",
        "\ufe0f",
        "\U000e0041",
        "\u0301",
        "\u2800 \u200b\u115f",
    ],
)
def test_what_nobody_can_see_is_no_text(field: str, value: str) -> None:
    assert checked(**{field: value}).errors[field].text == "invalid_required"


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "phone"])
@pytest.mark.parametrize("character", REORDERING)
def test_what_shows_text_in_another_order_is_refused(field: str, character: str) -> None:
    for value in (f"{character}{VALID[field]}", f"{VALID[field]}{character}", character):
        assert checked(**{field: value}).errors[field].text == "invalid_characters"


def test_a_number_may_come_between_what_an_address_book_puts_around_it() -> None:
    assert checked(phone="\u202a+1 206\u2011624\u20111234\u202c").fields["phone"] == "+12066241234"


@pytest.mark.parametrize(
    "name", ["می\u200cخواهم", "క్\u200dష", "👩\u200d🌾", "שלום\u200e (Israel)", "1️⃣", "Ko\u00adffee"]
)
def test_the_joiners_and_marks_of_direction_that_scripts_need_are_kept(name: str) -> None:
    assert checked(name=name).fields["name"] == name


@given(st.sampled_from(FIELDS[:4]), st.integers(min_value=0, max_value=80))
def test_a_text_may_be_as_long_as_its_column_and_no_longer(field: str, more: int) -> None:
    limit = LENGTHS[field]
    assert checked(**{field: "é" * limit}).errors == {}
    assert checked(**{field: "é" * (limit + 1 + more)}).errors[field].text == "invalid_length"


@given(st.dictionaries(st.sampled_from(FIELDS), anything))
@settings(max_examples=200, deadline=None)
def test_what_passed_once_passes_again_unchanged(changes: dict[str, object]) -> None:
    first = checked(**changes)
    if not first.errors:
        assert check(first.fields, region="US").fields == first.fields


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", ["", "   ", "\t\n", None])
def test_every_field_is_required(field: str, value: str | None) -> None:
    assert checked(**{field: value}).errors[field].text == "invalid_required"


@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "a\x1b[31m", "a\u2028b", "\ud800", "a\ue000b"])
def test_control_characters_are_refused(value: str) -> None:
    assert checked(name=value).errors["name"].text == "invalid_characters"


@pytest.mark.parametrize(
    "email",
    [
        "plain",
        "@x.co",
        "a@",
        "a@b",
        "a b@c.co",
        "a@b..co",
        "a@-b.co",
        "a@localhost",
        "<a@b.co>",
        "a@b.co\r\nBcc: x",
    ],
)
def test_a_wrong_email_is_refused(email: str) -> None:
    assert set(checked(email=email).errors) == {"email"}


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Jane.Doe@Example.ORG", "Jane.Doe@example.org"),
        (" a@b.co ", "a@b.co"),
        ("josé@exämple.de", "josé@exämple.de"),
    ],
)
def test_an_email_is_stored_in_its_standard_form(typed: str, stored: str) -> None:
    assert checked(email=typed).fields["email"] == stored


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("206-624-1234", "+12066241234"),
        ("(206) 624 1234", "+12066241234"),
        ("+1 206 624 1234", "+12066241234"),
        ("+33 1 42 68 53 00", "+33142685300"),
        ("+44 20 7946 0018", "+442079460018"),
    ],
)
def test_a_phone_is_stored_in_e164(typed: str, stored: str) -> None:
    assert checked(phone=typed).fields["phone"] == stored


@pytest.mark.parametrize(
    "phone", ["12", "abc", "+", "555-0100", "206-624-12345678", "206-624-1234 ext. 5", string.digits * 9]
)
def test_a_wrong_phone_is_refused(phone: str) -> None:
    assert set(checked(phone=phone).errors) == {"phone"}


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
@settings(max_examples=60, deadline=None)
def test_numbers_of_every_country_survive_being_shown_and_typed_again(region: str) -> None:
    example = phonenumbers.example_number(region)
    if example is None or example.italian_leading_zero:
        return
    stored = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assert checked(phone=shown_phone(stored, "US")).fields.get("phone") == stored


def test_an_old_phone_that_is_no_number_is_shown_as_it_is() -> None:
    assert shown_phone("ask for Bob", "US") == "ask for Bob"
