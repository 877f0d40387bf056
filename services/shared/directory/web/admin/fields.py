"""What editors send, checked and explained alike in forms and in JSON."""

from __future__ import annotations

from collections.abc import Mapping

from directory.domain.model import FIELDS
from directory.domain.validation import Invalid
from directory.web.texts import Texts

KEY_LENGTH = 200


def messages(t: Texts, errors: Mapping[str, Invalid], region: str) -> dict[str, str]:
    return {
        field: t(error.text, field=t(field), limit=error.limit, region=region)
        if field in FIELDS
        else t(error.text)
        for field, error in errors.items()
    }


def whole_number(text: str, high: int) -> int | None:
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= high else None
    )
