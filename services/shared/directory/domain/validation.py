"""One set of rules for forms and JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from directory.domain.model import FIELDS, LENGTHS
from directory.domain.words import IGNORABLE

# Letters and symbols whose picture is empty, beside the characters that Unicode says have none.
_BLANK = frozenset("\u2800\U00013441\U00013442\U0001d159")
# Embeddings, overrides and isolates show text in another order than it is stored in, and what stands beside it too:
# https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a field was refused: the key of a text, and what fills it."""

    text: str
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """`fields` is complete and normalised if `errors` is empty; `typed` is what came in."""

    typed: dict[str, str]
    fields: dict[str, str]
    errors: dict[str, Invalid]


def check(given: Mapping[str, object], *, region: str) -> Checked:
    """Trimmed, composed (NFC), visible, limited to the column's length; email and phone in their standard form."""
    typed: dict[str, str] = {}
    fields: dict[str, str] = {}
    errors: dict[str, Invalid] = {}
    for field in FIELDS:
        value = given.get(field)
        if value is not None and not isinstance(value, str):
            errors[field] = Invalid("invalid_type")
            continue
        typed[field] = value or ""
        # Before NFC, which would take long for an absurd text, a generous bound on what is normalised.
        text = (value or "")[: 4 * LENGTHS[field] + 64].strip()
        text = unicodedata.normalize("NFC", text)
        if field == "phone":
            # Address books put a number between such characters; it is stored in its standard form.
            text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        if not text or (_is_invisible(text) and not any(map(_is_refused, text))):
            errors[field] = Invalid("invalid_required")
        elif any(map(_is_refused, text)):
            errors[field] = Invalid("invalid_characters")
        elif len(text) > LENGTHS[field]:
            errors[field] = Invalid("invalid_length", LENGTHS[field])
        else:
            fields[field] = text
    if "email" in fields:
        try:
            email = validate_email(fields["email"], check_deliverability=False).normalized
            fields["email"] = email
            if len(email) > LENGTHS["email"]:
                raise EmailNotValidError
        except EmailNotValidError:
            errors["email"] = Invalid("invalid_email")
    if "phone" in fields:
        phone = _e164(fields["phone"], region)
        if phone is None:
            errors["phone"] = Invalid("invalid_phone")
        else:
            fields["phone"] = phone
    return Checked(typed, fields, errors)


def _is_refused(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp") or c in _REORDERING


def _is_invisible(text: str) -> bool:
    """Whether nothing stands there: spaces, joiners and fillers, or accents without a letter."""
    return not any(
        unicodedata.category(c)[0] in "LNPS" and c not in _BLANK and not IGNORABLE.match(c) for c in text
    )


def _e164(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # E.164 has no room for an extension: to drop it silently would lose data.
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=8192)
def shown_phone(stored: str, region: str) -> str:
    """National at home, international from elsewhere; unchanged if it is no number (older data)."""
    try:
        number = phonenumbers.parse(stored, region)
    except phonenumbers.NumberParseException:
        return stored
    home = number.country_code == phonenumbers.country_code_for_region(region)
    style = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, style)
