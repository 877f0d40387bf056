"""`[network]`: the address range and the ways out of it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.values import Section, cidr


def _vpc_cidr(value: str) -> str:
    network = ipaddress.ip_network(cidr(value))
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ValueError(f"{value!r} must be a private network from /16 to /20, such as 10.0.0.0/16")
    return value


class Network(Section):
    """The address range and the ways out of it."""

    cidr: Annotated[str, AfterValidator(_vpc_cidr)] = "10.0.0.0/16"
    nat_gateways: int = Field(default=1, ge=0, le=6)
    interface_endpoints: bool = False
    flow_logs: bool = True
