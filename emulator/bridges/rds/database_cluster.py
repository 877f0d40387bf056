"""A Multi-AZ DB cluster is one real MySQL server behind both of its addresses.

Why: ministack keeps a DBCluster of CloudFormation as a mere record, and gives clusters of Aurora alone a server. This
bridge has the cluster's first instance made as any database instance is, and answers for the cluster: its addresses, its
first member, a failover, which is a restart of that server. The two standbys are words.
Unnecessary when ministack's CloudFormation starts a server for such a cluster.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import copy
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.rds import database

TYPE = "AWS::RDS::DBCluster"
# What the cluster's first instance is made of, by the names it has there.
_OF_THE_INSTANCE = {
    "DBClusterInstanceClass": "DBInstanceClass",
    "DatabaseName": "DBName",
    "VpcSecurityGroupIds": "VPCSecurityGroups",
    **{
        name: name
        for name in (
            *("AllocatedStorage", "BackupRetentionPeriod", "CopyTagsToSnapshot", "DBSubnetGroupName"),
            *("DeletionProtection", "EnableCloudwatchLogsExports", "EnableIAMDatabaseAuthentication"),
            *("Engine", "EngineVersion", "KmsKeyId", "MasterUserPassword", "MasterUsername", "Port"),
            *("PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible"),
            *("StorageEncrypted", "StorageType", "Tags"),
        )
    },
}


def install(context: Context) -> None:
    from ministack.services import rds
    from ministack.services.cloudformation import provisioners, stacks

    replace(provisioners, "_rds_db_cluster_create", _creating)
    replace(provisioners, "_rds_db_cluster_update", _updating)
    replace(provisioners, "_rds_db_cluster_delete", _deleting)
    provisioners._RESOURCE_HANDLERS[TYPE].update(
        create=provisioners._rds_db_cluster_create,
        update=provisioners._rds_db_cluster_update,
        delete=provisioners._rds_db_cluster_delete,
    )
    replace(rds, "_failover_db_cluster", _failing_over)
    rds._ACTION_MAP.update(FailoverDBCluster=rds._failover_db_cluster)
    replace(stacks, "_runs_on_worker_thread", lambda original: lambda kind: kind == TYPE or original(kind))


def first_instance(cluster: str) -> str:
    """The name that Amazon RDS gives the first instance of a cluster."""
    return f"{cluster}-instance-1"


def _creating(original: Any) -> Any:
    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        from ministack.services import rds
        from ministack.services.cloudformation import provisioners

        if "DBClusterInstanceClass" not in props:
            return tuple(original(logical_id, props, stack_name))
        identifier, _ = original(logical_id, props, stack_name)
        name = first_instance(identifier)
        try:
            database._create(logical_id, _of_the_instance(props, name), stack_name)
        except Exception:
            rds._clusters.pop(identifier, None)
            raise
        cluster, instance = rds._clusters[identifier], rds._instances[name]
        cluster.update(
            Endpoint=instance["Endpoint"]["Address"],
            ReaderEndpoint=instance["Endpoint"]["Address"],
            Port=int(instance["Endpoint"]["Port"]),
            MultiAZ=True,
            AllocatedStorage=int(props["AllocatedStorage"]),
            DBClusterMembers=[
                {
                    "DBInstanceIdentifier": name,
                    "IsClusterWriter": True,
                    "DBClusterParameterGroupStatus": "in-sync",
                    "PromotionTier": 1,
                }
            ],
        )
        return identifier, provisioners._rds_db_cluster_attrs(cluster)

    return create


def _of_the_instance(props: dict[str, Any], name: str) -> dict[str, Any]:
    from ministack.services import rds

    made = {mine: props[theirs] for theirs, mine in _OF_THE_INSTANCE.items() if theirs in props}
    group = props.get("DBClusterParameterGroupName")
    if group in rds._db_cluster_param_groups:
        # The server is started with the parameters of an instance's group.
        rds._param_groups[group] = copy.deepcopy(rds._db_cluster_param_groups[group])
        rds._param_groups[group]["DBParameterGroupName"] = group
        made["DBParameterGroupName"] = group
    return {**made, "DBInstanceIdentifier": name}


def _updating(original: Any) -> Any:
    def update(
        identifier: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> tuple[str, dict[str, str]]:
        from ministack.services import rds
        from ministack.services.cloudformation import provisioners

        instance = rds._instances.get(first_instance(identifier))
        if instance is None:
            return tuple(original(identifier, old, new, stack_name, logical_id))
        name = first_instance(identifier)
        cluster = rds._clusters[identifier]
        place = {key: cluster[key] for key in ("Endpoint", "ReaderEndpoint", "Port")}
        updated, _ = original(identifier, old, new, stack_name, logical_id)
        provisioners._rds_db_instance_update(
            name, _of_the_instance(old, name), _of_the_instance(new, name), stack_name, logical_id
        )
        cluster.update(place)
        return updated, provisioners._rds_db_cluster_attrs(cluster)

    return update


def _deleting(original: Any) -> Any:
    def delete(identifier: str, props: dict[str, Any]) -> None:
        database._delete(first_instance(identifier), {})
        original(identifier, props)

    return delete


def _failing_over(original: Any) -> Any:
    def fail_over(params: dict[str, Any]) -> Any:
        from ministack.core.concurrency import spawn_background
        from ministack.services import rds

        identifier = rds._p(params, "DBClusterIdentifier")
        instance = rds._instances.get(first_instance(identifier))
        cluster = rds._clusters.get(identifier)
        if instance is None or cluster is None or not instance.get("_docker_container_id"):
            return original(params)
        cluster["Status"] = "failing-over"

        def work() -> None:
            rds._get_docker().containers.get(instance["_docker_container_id"]).restart(timeout=30)
            database.wait_until_it_answers(instance)
            cluster["Status"] = "available"

        spawn_background(work, thread_name="database-failing-over")
        return rds._failover_db_cluster_response(cluster)

    return fail_over
