"""`[database]`: the MySQL instance or cluster."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from settings.facts.database_classes import (
    FAMILIES,
    memory_gib,
    offers_cluster,
    offers_insights,
    offers_instance,
)
from settings.values import Section

# The IOPS of a cluster's storage must be told, which gp3 takes from 400 GiB on only; its 12,000 are half of the upper one.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
_CLUSTER_STORAGE_GIB = (400, 24_000)
# The default of RDS for MySQL is DBInstanceClassMemory / 12582880, about 85 a GiB less what the system keeps:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
# A number below that is one that holds, so that an alarm can be measured against it.
_CONNECTIONS_PER_GIB = 64


def _instance_class(value: str) -> str:
    if not re.fullmatch(r"db\.[a-z0-9]+\.[a-z0-9]+", value):
        raise ValueError(f"{value!r} is no database instance class; an example is db.t4g.small")
    if not memory_gib(value):
        raise ValueError(
            f"{value!r} is not offered for MySQL 8.4; allowed: sizes of {', '.join(f'db.{each}' for each in FAMILIES)}, "
            "such as db.t4g.small"
        )
    return value


class Database(Section):
    """The MySQL instance, or cluster; sizes in GiB, times in days."""

    instance_class: Annotated[str, AfterValidator(_instance_class)] = "db.t4g.small"
    multi_az: bool = True
    storage_gib: int = Field(default=20, ge=20, le=65536)
    backup_days: int = Field(default=7, ge=1, le=35)
    deletion_protection: bool = False
    sample_data: bool = False
    max_connections: int | None = Field(default=None, ge=20, le=16_000)
    proxy: bool = False
    """Services connect to an RDS Proxy, which shares the server's connections between them."""
    # Amazon RDS spreads readers over several replicas of MySQL by no address of its own, so one is what they can use.
    read_replicas: int = Field(default=0, ge=0, le=1)
    insights: bool | None = None
    """Database Insights; false leaves them off in an instance that has grown out of a class without them."""
    cluster: bool = False
    """One instance that takes writes and two readable standbys, in three zones, in place of the one instance."""

    @property
    def connection_limit(self) -> int:
        """Connections the server accepts: as set, else 64 for each GiB of memory of its instance class."""
        return self.max_connections or round(_CONNECTIONS_PER_GIB * memory_gib(self.instance_class))

    @property
    def uses_insights(self) -> bool:
        """As set, else wherever AWS offers Database Insights for the instance class."""
        return offers_insights(self.instance_class) if self.insights is None else self.insights

    @model_validator(mode="after")
    def _possible_insights(self) -> Self:
        if self.insights and not offers_insights(self.instance_class):
            raise ValueError(
                f"insights = true is not offered with instance_class {self.instance_class!r}; remove the key or take a "
                "class from medium on"
            )
        return self

    @model_validator(mode="after")
    def _possible_cluster(self) -> Self:
        if not self.cluster:
            if not offers_instance(self.instance_class):
                raise ValueError(
                    f"instance_class {self.instance_class!r} is offered with cluster = true only"
                )
            return self
        if not offers_cluster(self.instance_class):
            families = ", ".join(f"db.{name}" for name, each in FAMILIES.items() if each.cluster)
            raise ValueError(
                f"cluster = true is not offered with instance_class {self.instance_class!r}; allowed: {families}, such as "
                "db.m6gd.large"
            )
        least, most = _CLUSTER_STORAGE_GIB
        if not least <= self.storage_gib <= most:
            raise ValueError(
                f"cluster = true needs storage_gib from {least} to {most}, not {self.storage_gib}: such a cluster must be "
                "told its IOPS, which gp3 lets be told from there on"
            )
        if not self.multi_az:
            raise ValueError("cluster = true has its standbys in other zones; remove multi_az = false")
        if self.proxy:
            raise ValueError(
                "cluster = true is reached by its own addresses; remove proxy or set it to false"
            )
        if self.read_replicas:
            raise ValueError(
                "cluster = true has readers already, its standbys; remove read_replicas or set it to 0"
            )
        return self
