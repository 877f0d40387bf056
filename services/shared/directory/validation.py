"""One set of rules for forms and JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from directory.model import FIELDS, LENGTHS


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
    """Trimmed, composed (NFC), limited to the column's length; email and phone in their standard form."""
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
        if not text:
            errors[field] = Invalid("invalid_required")
        elif any(unicodedata.category(c) in ("Cc", "Cs", "Cn", "Co") or c in "\u2028\u2029" for c in text):
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
