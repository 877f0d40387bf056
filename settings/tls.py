"""`[tls]`: the domain to serve over HTTPS."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.values import Section


def _domain(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", value):
        raise ValueError(f"{value!r} is no domain name; an example is suppliers.example.com")
    return value


class Tls(Section):
    """The domain to serve over HTTPS, with its public hosted zone; absent means HTTP."""

    domain: Annotated[str, AfterValidator(_domain)]
    hosted_zone_id: str = Field(pattern=r"^Z[A-Z0-9]{1,31}$")
