from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.common.compliance import acknowledge, readable_account
from platform_constructs.common.permissions import allow
from platform_constructs.delivery.artifact_access import ArtifactAccess
from platform_constructs.delivery.build_project import BuildProject
from platform_constructs.delivery.image_repository import ImageRepository
from platform_constructs.delivery.source_repository import SourceRepository
from platform_constructs.service.database_preparation import DatabasePreparation
from platform_constructs.service.microservice import Microservice

_TEST = {
    "build": [
        "python -m pip install --quiet -r requirements.txt -r requirements-dev.txt",
        'python -m pytest tests/services -m "not docker"',
    ]
}
_IMAGE = {
    "pre_build": ["python -m delivery plan", ". release/release.env"],
    "build": [
        'if [ "$RELEASE" = yes ]; then'
        ' aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"; fi',
        'if [ "$BUILD" = yes ]; then python -m delivery pull-base'
        # Attestations would make an index of the image, which the scan does not support.
        " && BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build ${BASE_IMAGE:+--build-arg=PYTHON_IMAGE=$BASE_IMAGE}"
        ' --build-arg "VERSION=$VERSION" --tag "$IMAGE" --file "release/context/$SERVICE/Dockerfile" release/context'
        ' && docker push "$IMAGE"; fi',
        'if [ "$RELEASE" = yes ]; then python -m delivery check-image; fi',
    ],
}
# The files that CodeDeploy's action reads.
_DESCRIBE, _DESCRIPTION = "python -m delivery write", ("taskdef.json", "appspec.yaml")
_RELEASE = {"build": ["python -m delivery release"]}
_MIGRATE = {"build": ["python -m delivery migrate"]}
_EXPORTED = ("VERSION", "IMAGE", "RELEASE", "REASON")


@dataclass(frozen=True, kw_only=True)
class ServicePipelineProps:
    """With `approval`, a person lets each release pass before the database and the tasks change."""

    name: str
    approval: bool
    removal_policy: RemovalPolicy


class ServicePipeline(Construct):
    """From a push to a release of one service; a push that leaves it untouched skips approval and deployment."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        source: SourceRepository,
        microservice: Microservice,
        cluster: ecs.ICluster,
        repository: ImageRepository,
        execution_role: iam.IRole,
        preparation: DatabasePreparation | None,
        subnets: ec2.SelectedSubnets,
        artifacts: ArtifactAccess,
        logs_key: kms.IKey,
        props: ServicePipelineProps,
    ) -> None:
        super().__init__(scope, construct_id)
        self._microservice = microservice
        self._cluster = cluster
        self._repository = repository
        self._execution_role = execution_role
        self._artifacts = artifacts
        self._logs_key = logs_key
        self._props = props
        self._acting: list[Construct] = []
        self._sources = codepipeline.Artifact("Sources")
        self._release = codepipeline.Artifact("Release")
        self._service_arn = Stack.of(self).format_arn(
            service="ecs",
            resource="service",
            resource_name=f"{cluster.cluster_name}/{microservice.service.service_name}",
        )
        self._in_this_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
        self._role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("codepipeline.amazonaws.com"),
            description=f"Fetches sources, starts the builds and the release of {microservice.name}",
        )
        artifacts.grant(self._role, write=True)
        source.grant_fetch(self._role, artifacts)
        self.pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            pipeline_name=props.name,
            pipeline_type=codepipeline.PipelineType.V2,
            # A newer push overtakes one that still waits, and never one that is under way in a stage.
            execution_mode=codepipeline.ExecutionMode.SUPERSEDED,
            artifact_bucket=artifacts.bucket,
            # One role that may just start things; CDK's own would read and write all that the builds do.
            role=self._role.without_policy_updates(),
            use_pipeline_role_for_actions=True,
            stages=self._stages(source, preparation, subnets),
        )
        # The grants are policies of their own; without them the first execution would fail.
        self.pipeline.node.add_dependency(self._role, *self._acting)

    def _stages(
        self,
        source: SourceRepository,
        preparation: DatabasePreparation | None,
        subnets: ec2.SelectedSubnets,
    ) -> list[codepipeline.StageProps]:
        group = self._microservice.release.deployment_group
        if group is not None:
            deployment = [self._deploy_action(group)]
            if preparation is not None:
                deployment.insert(0, self._migrate_action(preparation, subnets))
        else:
            deployment = [self._update_action()]
        approval = codepipeline.StageProps(
            stage_name="Approval",
            actions=[
                actions.ManualApprovalAction(action_name="Approve", additional_information="#{Build.REASON}")
            ],
            before_entry=_only_for_a_release("Approval"),
        )
        return [
            codepipeline.StageProps(stage_name="Source", actions=[source.action(self._sources)]),
            codepipeline.StageProps(stage_name="Build", actions=[self._test_action(), self._image_action()]),
            *([approval] if self._props.approval else []),
            codepipeline.StageProps(
                stage_name="Deploy", actions=deployment, before_entry=_only_for_a_release("Deploy")
            ),
        ]

    def _test_action(self) -> codepipeline.IAction:
        project = self._project("Test", f"Tests {self._microservice.name}", _TEST)
        return actions.CodeBuildAction(
            action_name="Test", project=project, input=self._sources, type=actions.CodeBuildActionType.TEST
        )

    def _image_action(self) -> codepipeline.IAction:
        microservice = self._microservice
        described = microservice.release.deployment_group is not None
        hook = microservice.release.hook_function if described else None
        project = self._project(
            "Image",
            f"Builds, scans and describes the image of {microservice.name}",
            {**_IMAGE, "build": [*_IMAGE["build"], *([_DESCRIBE] if described else [])]},
            variables={
                "SERVICE": microservice.name,
                "ARCHITECTURE": microservice.architecture,
                "CONTAINER_PORT": str(microservice.container_port),
                "CONTROLLER": microservice.controller,
                "REPOSITORY_URI": self._repository.repository_uri,
                "CLUSTER": self._cluster.cluster_name,
                "ECS_SERVICE": microservice.service.service_name,
                "FAMILY": microservice.task_definition.family,
                **({"HOOK": hook.function_arn} if hook else {}),
            },
            files=_DESCRIPTION if described else (),
            docker=True,
        )
        role = project.build_role
        self._repository.grant_pull_push(role)
        self._repository.grant(role, "ecr:DescribeImages", "ecr:DescribeImageScanFindings")
        # What the images start from: https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
        ecr.PublicGalleryAuthorizationToken.grant_read(role)
        allow(role, "ecs:DescribeServices", on=self._service_arn)
        allow(role, "ecs:DescribeTaskDefinition", on="*")
        acknowledge(
            role,
            "IAM5[Resource::*]",
            "Signing in to the registry (ecr:GetAuthorizationToken), signing in to the public one "
            "(ecr-public:GetAuthorizationToken, sts:GetServiceBearerToken) and reading task definitions "
            "(ecs:DescribeTaskDefinition) know no resource.",
        )
        acknowledge(
            cast(iam.Policy, role.node.find_child("DefaultPolicy")),
            "CKV_AWS_107",
            "The credential is a token to pull from the public registry, which anybody may have.",
        )
        return actions.CodeBuildAction(
            action_name="Image",
            project=project,
            input=self._sources,
            outputs=[self._release] if described else [],
            run_order=2,
            variables_namespace="Build",
        )

    def _migrate_action(
        self, preparation: DatabasePreparation, subnets: ec2.SelectedSubnets
    ) -> codepipeline.IAction:
        microservice, stack = self._microservice, Stack.of(self)
        family = preparation.task_definition.family
        project = self._project(
            "Migrate",
            f"Prepares the database for a new {microservice.name}",
            _MIGRATE,
            variables={
                "SERVICE": microservice.name,
                "CLUSTER": self._cluster.cluster_name,
                "PREPARE_FAMILY": family,
                "SUBNETS": ",".join(subnets.subnet_ids),
                "SECURITY_GROUPS": ",".join(each.security_group_id for each in preparation.security_groups),
                "LOG_GROUP": microservice.log_group_name,
                "LOG_PREFIX": microservice.log_prefix,
            },
        )
        role = project.build_role
        revisions = stack.format_arn(service="ecs", resource="task-definition", resource_name=f"{family}:*")
        allow(role, "ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition", on="*")
        allow(role, "ecs:RunTask", on=revisions, when=self._in_this_cluster)
        allow(role, "ecs:DescribeTasks", on="*", when=self._in_this_cluster)
        streams = f"{microservice.log_group_name}:log-stream:{microservice.log_prefix}/*"
        allow(
            role,
            "logs:GetLogEvents",
            on=stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=streams,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            ),
        )
        self._allow_passing_roles(role, preparation.task_definition.task_role)
        acknowledge(
            role,
            "IAM5[Resource::*]",
            "Task definitions are described and registered without a resource; tasks, whose names are not known "
            "before they exist, only in this cluster.",
        )
        acknowledge(
            role,
            f"IAM5[Resource::arn:aws:ecs:{stack.region}:{readable_account(stack)}:task-definition/{family}:*]",
            "The revision to run is the one that the build has just registered.",
        )
        acknowledge(
            role,
            f"IAM5[Resource::arn:aws:logs:{stack.region}:{readable_account(stack)}:log-group:{streams}]",
            "The stream to read is the one of the task that the build has just started.",
        )
        return actions.CodeBuildAction(
            action_name="Migrate",
            project=project,
            input=self._sources,
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=f"#{{Build.{name}}}")
                for name in ("IMAGE", "VERSION")
            },
        )

    def _deploy_action(self, group: codedeploy.EcsDeploymentGroup) -> codepipeline.IAction:
        role = iam.Role(
            self,
            "DeployRole",
            assumed_by=iam.ArnPrincipal(self._role.role_arn),
            description=f"Releases {self._microservice.name}",
        )
        self._acting.append(role)
        allow(self._role, "sts:AssumeRole", on=role.role_arn)
        allow(role, "ecs:RegisterTaskDefinition", on="*")
        self._allow_passing_roles(role, self._microservice.task_role)
        self._artifacts.grant(role)
        acknowledge(
            role,
            "IAM5[Resource::*]",
            "Registering a task definition knows no resource; which roles one can name is limited to those of this service.",
        )
        # The action would allow itself to pass every role of the account.
        narrow = role.without_policy_updates()
        allow(
            role,
            "codedeploy:GetApplication",
            "codedeploy:GetApplicationRevision",
            "codedeploy:RegisterApplicationRevision",
            on=group.application.application_arn,
        )
        allow(role, "codedeploy:CreateDeployment", "codedeploy:GetDeployment", on=group.deployment_group_arn)
        allow(role, "codedeploy:GetDeploymentConfig", on=group.deployment_config.deployment_config_arn)
        return actions.CodeDeployEcsDeployAction(
            action_name="Deploy",
            deployment_group=group,
            task_definition_template_input=self._release,
            app_spec_template_input=self._release,
            role=narrow,
            run_order=2,
        )

    def _update_action(self) -> codepipeline.IAction:
        """Updates the service's stack with the new image: CloudFormation alone says what ECS runs.

        The stack prepares the database before, waits for the release, and goes back by itself where that fails. What the
        update may do is up to the role that the stack was deployed with:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
        """
        microservice = self._microservice
        stack = Stack.of(microservice).stack_name
        project = self._project(
            "Deploy", f"Releases {microservice.name} by its stack", _RELEASE, variables={"STACK": stack}
        )
        arn = Stack.of(self).format_arn(
            service="cloudformation", resource="stack", resource_name=f"{stack}/*"
        )
        allow(
            project.build_role,
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:UpdateStack",
            on=arn,
        )
        region, account = Stack.of(self).region, readable_account(Stack.of(self))
        acknowledge(
            project.build_role,
            f"IAM5[Resource::arn:aws:cloudformation:{region}:{account}:stack/{stack}/*]",
            "The ARN of a stack ends in an id that CloudFormation gives it.",
        )
        return actions.CodeBuildAction(
            action_name="Deploy",
            project=project,
            input=self._sources,
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=f"#{{Build.{name}}}")
                for name in ("IMAGE", "VERSION")
            },
        )

    def _project(
        self,
        construct_id: str,
        description: str,
        commands: Mapping[str, list[str]],
        *,
        variables: Mapping[str, str] | None = None,
        files: Sequence[str] = (),
        docker: bool = False,
    ) -> BuildProject:
        project = BuildProject(
            self,
            construct_id,
            description=description,
            architecture=self._microservice.architecture,
            variables=variables or {},
            commands=commands,
            artifacts=self._artifacts,
            logs_key=self._logs_key,
            removal_policy=self._props.removal_policy,
            # What the other stages ask is what this build leaves.
            exported_variables=_EXPORTED if docker else (),
            files=files,
            docker=docker,
        )
        allow(
            self._role,
            "codebuild:StartBuild",
            "codebuild:StopBuild",
            "codebuild:BatchGetBuilds",
            on=project.project_arn,
        )
        return project

    def _allow_passing_roles(self, role: iam.Role, task_role: iam.IRole) -> None:
        for passed in (task_role, self._execution_role):
            allow(
                role,
                "iam:PassRole",
                on=passed.role_arn,
                when={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            )


def _only_for_a_release(stage: str) -> codepipeline.Conditions:
    """The condition that shows a stage as skipped where the build found nothing to release."""
    rule = codepipeline.Rule(
        name=f"{stage}OfAChangedService",
        provider="VariableCheck",
        version="1",
        configuration={"Variable": "#{Build.RELEASE}", "Operator": "EQ", "Value": "yes"},
    )
    return codepipeline.Conditions(
        conditions=[codepipeline.Condition(result=codepipeline.Result.SKIP, rules=[rule])]
    )
