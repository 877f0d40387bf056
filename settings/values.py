"""What the sections of the files are made of: their base, and kinds of values that several of them have."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """A table of a file: no unknown key, no value of another type, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def cidr(value: str) -> str:
    """An IPv4 network as it stands, else `ValueError`."""
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is no CIDR; an example is 203.0.113.0/24") from None
    if network.version != 4:
        raise ValueError(f"{value!r} is no IPv4 CIDR; an example is 203.0.113.0/24")
    return value


def _apart(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    networks = [ipaddress.IPv4Network(each) for each in cidrs]
    for number, network in enumerate(networks):
        for other in networks[number + 1 :]:
            if network.overlaps(other):
                # One of two networks that overlap always holds the other.
                raise ValueError(f"{network} and {other} overlap; leave the larger one alone")
    return cidrs


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    seen = [value.casefold() for value in values]
    twice = next((value for value in values if seen.count(value.casefold()) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice; each once")
    return values


def _https_url(value: str) -> str:
    if len(value) > 1024 or not re.fullmatch(r"https://[a-z0-9.-]+(:\d{1,5})?(/[\w./~%-]*)?", value):
        raise ValueError(f"{value!r} is no https URL; an example is https://login.example.com/oauth2/token")
    return value


Cidr = Annotated[str, AfterValidator(cidr)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
Cidrs = Annotated[tuple[Cidr, ...], AfterValidator(_apart)]
EachOnce = AfterValidator(_each_once)
