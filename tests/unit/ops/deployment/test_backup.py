from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

import settings
from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.deployed.database import Cluster, Instance
from ops.deployment import backup
from ops.errors import OpsError


@dataclass(frozen=True, kw_only=True)
class Moto(Clients):
    region: str = "us-east-1"

    def client(self, service: str) -> Any:
        return boto3.client(
            service, region_name=self.region, aws_access_key_id="x", aws_secret_access_key="x"
        )


def test_on_aws_a_backup_is_a_snapshot_that_is_there_when_the_command_ends() -> None:
    said: list[str] = []
    with mock_aws():
        rds = Moto().client("rds")
        rds.create_db_instance(
            DBInstanceIdentifier="directory",
            DBInstanceClass="db.t4g.small",
            Engine="mysql",
            AllocatedStorage=20,
            MasterUsername="directory_admin",
            MasterUserPassword="a-password-of-tests",
        )
        name = backup.snapshot(Instance(Moto(), "directory"), "suppliers-prod-20261122-101500", said.append)
        (found,) = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
    assert (found["DBInstanceIdentifier"], found["Status"]) == ("directory", "available")
    assert said == ["snapshot suppliers-prod-20261122-101500 of directory: waiting until it is available"]


def test_of_a_cluster_a_backup_is_a_snapshot_of_all_of_it() -> None:
    with mock_aws():
        rds = Moto().client("rds")
        rds.create_db_cluster(
            DBClusterIdentifier="directory",
            DBClusterInstanceClass="db.m6gd.large",
            Engine="mysql",
            AllocatedStorage=400,
            StorageType="gp3",
            Iops=12000,
            MasterUsername="directory_admin",
            MasterUserPassword="a-password-of-tests",
        )
        said: list[str] = []
        name = backup.snapshot(Cluster(Moto(), "directory"), "suppliers-prod-20261122-101500", said.append)
        (found,) = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"]
    assert (found["DBClusterIdentifier"], found["Status"]) == ("directory", "available")


def test_on_aws_nothing_is_restored_over_a_running_database() -> None:
    with pytest.raises(OpsError, match=r"prod: on AWS a backup is restored beside .*: docs/restore\.md"):
        backup.restore(Session(settings.load("prod"), Clients("us-east-1")), Path("backup.sql"), yes=True)
