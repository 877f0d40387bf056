"""`[waf]`: the web ACL in front of the load balancer."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from platform_constructs.entrance.web_acl_rules import MANAGED_GROUPS, RATE_LIMIT
from settings.values import EachOnce, Section


def _counted_rule(value: str) -> str:
    group, slash, rule = value.partition("/")
    if not (group in MANAGED_GROUPS if slash else group in (RATE_LIMIT, *MANAGED_GROUPS)) or (
        # The characters that AWS WAF names rules with:
        # https://docs.aws.amazon.com/waf/latest/APIReference/API_RuleActionOverride.html
        slash and not re.fullmatch(r"[\w-]{1,128}", rule, re.ASCII)
    ):
        raise ValueError(
            f"{value!r} is no rule of the web ACL; allowed: {', '.join((RATE_LIMIT, *MANAGED_GROUPS))}, "
            "or a rule of one of these groups such as Common/SizeRestrictions_BODY (`suppliers waf` names them)"
        )
    return value


CountedRule = Annotated[str, AfterValidator(_counted_rule)]


class Waf(Section):
    """A web ACL that blocks in front of the load balancer; the limit counts requests a source in 5 minutes.

    `count_rules` let requests pass and only count them: "RateLimit", a managed group, or a rule of one ("Common/...").
    """

    rate_limit: int = Field(default=2000, ge=10, le=2_000_000_000)
    count_rules: Annotated[tuple[CountedRule, ...], EachOnce] = Field(
        default=(), max_length=100, strict=False
    )
