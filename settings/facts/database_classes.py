"""What Amazon RDS offers for MySQL 8.4 by instance class: one table, each fact with AWS's page.

Not in the table, because AWS offers it for every class in it: encryption at rest
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html#Overview.Encryption.Availability),
enhanced monitoring (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Monitoring.OS.overview.html), gp3 storage
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage), RDS Proxy
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limitations) and read replicas
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_MySQL.Replication.ReadReplicas.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BURSTABLE = {"micro": 1.0, "small": 2.0, "medium": 4.0, "large": 8.0, "xlarge": 16.0}
_GENERAL = {"large": 8.0, "xlarge": 16.0}
_MEMORY = {"large": 16.0, "xlarge": 32.0}


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a family of instance classes has: `memory_gib` by size, of which larger ones are multiples of xlarge."""

    memory_gib: Mapping[str, float]
    instance: bool = True
    """A DB instance is offered in it."""
    cluster: bool = False
    """A Multi-AZ DB cluster is offered in it."""


# Families of the current generations, in the regions that have them; the earlier ones end at MySQL 8.0:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Support.html
# Memory: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html
# Clusters, which have their medium size in the one family:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/create-multi-az-db-cluster.html
FAMILIES: Mapping[str, Family] = {
    **{name: Family(memory_gib=_BURSTABLE) for name in ("t3", "t4g")},
    **{
        name: Family(memory_gib=_GENERAL)
        for name in ("m5", "m6g", "m6i", "m6in", "m7g", "m7i", "m8a", "m8g", "m8gd", "m9g")
    },
    **{name: Family(memory_gib=_GENERAL, cluster=True) for name in ("m5d", "m6gd", "m6id", "m6idn")},
    **{
        name: Family(memory_gib=_MEMORY)
        for name in ("r5", "r5b", "r6g", "r6i", "r6in", "r7g", "r7i", "r8a", "r8g", "r8gd")
    },
    **{name: Family(memory_gib=_MEMORY, cluster=True) for name in ("r5d", "r6gd", "r6id", "r6idn")},
    "x2g": Family(memory_gib={"large": 32.0, "xlarge": 64.0}),
    "x2idn": Family(memory_gib={"xlarge": 64.0}),
    "x2iedn": Family(memory_gib={"xlarge": 128.0}, cluster=True),
    "c6gd": Family(memory_gib={"medium": 2.0, "large": 4.0, "xlarge": 8.0}, instance=False, cluster=True),
}
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html
WITHOUT_INSIGHTS = frozenset({"db.t3.micro", "db.t3.small", "db.t4g.micro", "db.t4g.small"})


def memory_gib(instance_class: str) -> float:
    """Memory of an instance class; 0 for one that is none, or of a size that its family does not have."""
    prefix, _, rest = instance_class.partition(".")
    family, _, size = rest.partition(".")
    if prefix != "db" or family not in FAMILIES:
        return 0
    sizes = FAMILIES[family].memory_gib
    multiple = re.fullmatch(r"([2-9]|[1-9][0-9])xlarge", size)
    return sizes["xlarge"] * int(multiple[1]) if multiple else sizes.get(size, 0)


def offers_instance(instance_class: str) -> bool:
    """Whether a MySQL 8.4 instance is offered in the class, in some region."""
    return memory_gib(instance_class) > 0 and _family(instance_class).instance


def offers_cluster(instance_class: str) -> bool:
    """Whether a MySQL 8.4 Multi-AZ DB cluster is offered in the class, in some region."""
    return memory_gib(instance_class) > 0 and _family(instance_class).cluster


def offers_insights(instance_class: str) -> bool:
    """Whether Database Insights, formerly Performance Insights, is offered for MySQL in the class."""
    return instance_class not in WITHOUT_INSIGHTS


def _family(instance_class: str) -> Family:
    return FAMILIES[instance_class.split(".")[1]]
