from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.compliance import acknowledge
from platform_constructs.common.operator_alarm import OperatorAlarm

# A day, the hour in which a job may begin and the eight in which it has to end.
_LONGEST_HOURS = 33


class DatabaseBackup(Construct):
    """A snapshot a day, beside the database's own backups, in an encrypted vault that nobody can take one from.

    They outlive the database, and whoever may delete it. People are told of a snapshot that failed, and when none came.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        database: backup.BackupResource,
        encryption_key: kms.IKey,
        retention: Duration,
        topic: AlarmTopic,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        vault = backup.BackupVault(
            self,
            "Vault",
            # What CDK would call them is the same in every environment of an account.
            backup_vault_name=name,
            encryption_key=encryption_key,
            block_recovery_point_deletion=True,
            removal_policy=removal_policy,
        )
        plan = backup.BackupPlan(self, "Plan", backup_plan_name=name, backup_vault=vault)
        plan.add_rule(
            backup.BackupPlanRule(
                rule_name="Daily",
                # Away from the hours of the database's own backup and of its maintenance, in which AWS Backup waits:
                # https://docs.aws.amazon.com/aws-backup/latest/devguide/rds-backup.html
                schedule_expression=events.Schedule.cron(hour="5", minute="0"),
                start_window=Duration.hours(1),
                completion_window=Duration.hours(8),
                delete_after=retention,
            )
        )
        selection = plan.add_selection("Database", resources=[database])
        acknowledge(
            selection,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup]",
            "AWS maintains this policy for exactly this purpose and only AWS Backup can assume the role.",
        )
        self.alarms = [
            OperatorAlarm(
                self,
                "BackupFailed",
                metric=_jobs(vault, "NumberOfBackupJobsFailed"),
                says="A snapshot of the database failed",
                comparison="above",
                threshold=0,
                periods=1,
                # No job failed, nothing is reported.
                missing="fine",
                topic=topic,
            ),
            # A job that never began, or not in time, is no failed one. Hours of which nothing is told are the rule, so
            # no hour is a breach: what counts is that there is none left to look at.
            OperatorAlarm(
                self,
                "BackupMissing",
                metric=_jobs(vault, "NumberOfBackupJobsCompleted"),
                says=f"No snapshot of the database was completed for {_LONGEST_HOURS} hours",
                comparison="below",
                threshold=1,
                periods=_LONGEST_HOURS,
                missing="told",
                topic=topic,
            ),
        ]


def _jobs(vault: backup.BackupVault, metric_name: str) -> cloudwatch.Metric:
    # https://docs.aws.amazon.com/aws-backup/latest/devguide/cloudwatch.html
    return cloudwatch.Metric(
        namespace="AWS/Backup",
        metric_name=metric_name,
        dimensions_map={"BackupVaultName": vault.backup_vault_name},
        statistic="Sum",
        period=Duration.hours(1),
    )
