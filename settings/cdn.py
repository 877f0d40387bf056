"""`[cdn]`: CloudFront in front of the load balancer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.values import Section


class Cdn(Section):
    """CloudFront in front of the load balancer, which is then internal; absent means: the load balancer is public.

    `list_seconds` is how long public pages may be kept at the edge, `price_class` from where CloudFront answers: '100'
    North America and Europe, '200' also Asia and the Middle East, 'all' everywhere.
    """

    list_seconds: int = Field(default=10, ge=1, le=3600)
    price_class: Literal["100", "200", "all"] = "100"
