from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.compliance import acknowledge
from platform_constructs.delivery.artifact_access import ArtifactAccess

# The version that continuous integration uses.
_PYTHON = "3.11"


class BuildProject(codebuild.PipelineProject):
    """A build of a pipeline on the service's processor; its role can write its own log and what it is granted."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        architecture: Literal["arm64", "x86_64"],
        variables: Mapping[str, str],
        commands: Mapping[str, Sequence[str]],
        artifacts: ArtifactAccess,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
        exported_variables: Sequence[str] = (),
        files: Sequence[str] = (),
        docker: bool = False,
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}LogGroup",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        specification: dict[str, Any] = {
            "version": "0.2",
            "env": {"shell": "bash", "exported-variables": list(exported_variables)},
            "phases": {
                "install": {"runtime-versions": {"python": _PYTHON}},
                **{phase: {"commands": list(lines)} for phase, lines in commands.items()},
            },
        }
        if files:
            specification["artifacts"] = {"base-directory": "release", "files": list(files)}
        role = iam.Role(
            scope,
            f"{construct_id}Role",
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"),
            description=description,
        )
        log_group.grant_write(role)
        artifacts.grant(role, write=bool(files))
        super().__init__(
            scope,
            construct_id,
            description=description,
            # CDK would add rights on log groups by name and on every artifact.
            role=role.without_policy_updates(),
            build_spec=codebuild.BuildSpec.from_object(specification),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0
                if architecture == "arm64"
                else codebuild.LinuxBuildImage.AMAZON_LINUX_2023_5,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=docker,
            ),
            environment_variables={
                "PYTHONPATH": codebuild.BuildEnvironmentVariable(value="constructs"),
                **{
                    name: codebuild.BuildEnvironmentVariable(value=value) for name, value in variables.items()
                },
            },
            encryption_key=artifacts.encryption_key,
            grant_report_group_permissions=False,
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)
            ),
            timeout=Duration.hours(1),
            queued_timeout=Duration.hours(2),
        )
        self.build_role = role
        acknowledge(
            self,
            "CodeBuildProjectSourceRepoUrl",
            "The project has no repository and no credentials of one: the pipeline hands it the sources as an artifact.",
        )
        # The grants are policies of their own; without them the first build would fail.
        self.node.add_dependency(role)
