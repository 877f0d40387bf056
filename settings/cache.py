"""`[cache]`: the cache that tasks share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.values import Section


def _cache_node_type(value: str) -> str:
    if not re.fullmatch(r"cache\.[a-z][a-z0-9]*\.[a-z0-9]+", value):
        raise ValueError(f"{value!r} is no cache node type; an example is cache.t4g.micro")
    if value.split(".")[1].endswith("gd"):
        raise ValueError(
            f"{value!r} keeps data on disks too, which a cache of lists does not need; an example is cache.r7g.large"
        )
    return value


class Cache(Section):
    """Valkey on ElastiCache that the tasks share, a primary with replicas; absent means: each task has its own memory."""

    node_type: Annotated[str, AfterValidator(_cache_node_type)] = "cache.t4g.micro"
    replicas: int = Field(default=1, ge=0, le=5)
