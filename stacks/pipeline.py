from dataclasses import replace
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.common.compliance import acknowledge
from platform_constructs.common.conventions import removal_policy
from platform_constructs.delivery.artifact_access import ArtifactAccess
from platform_constructs.delivery.image_repository import ImageRepository
from platform_constructs.delivery.pipeline_notifications import PipelineNotifications
from platform_constructs.delivery.service_pipeline import ServicePipeline, ServicePipelineProps
from platform_constructs.delivery.source_repository import SourceRepository
from settings import Release
from stacks.compute import ComputeStack
from stacks.delivery import DeliveryStack
from stacks.network import NetworkStack
from stacks.service import ServiceStack


class PipelineStack(Stack):
    """From a push to a release of one service: the repository of its images, and the pipeline with its builds."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: NetworkStack,
        compute: ComputeStack,
        service: ServiceStack,
        shared: DeliveryStack,
        release: Release,
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        microservice, keep = service.microservice, removal_policy(protected=protected)
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{shared.stack_name}-{microservice.name}",
            termination_protection=protected,
            **stack,
        )
        images = ImageRepository(
            self,
            "Images",
            name=f"{prefix}/{microservice.name}",
            encryption_key=shared.key,
            removal_policy=keep,
        )
        # By name: the grant stays in this stack, and the service's needs nothing of it.
        execution_role = iam.Role.from_role_name(self, "ExecutionRole", microservice.execution_role.role_name)
        images.grant_pull(execution_role)
        acknowledge(
            execution_role,
            "IAM5[Resource::*]",
            "Signing in to the image registry (ecr:GetAuthorizationToken) knows no resource; pulling is "
            "allowed for this service's repository only.",
        )
        # By name: the rule that starts the pipeline stays beside it.
        source = SourceRepository(self, "Source", props=replace(shared.source, create=False))
        self.add_stack_dependency(shared, "the repository that it names")
        pipeline = ServicePipeline(
            self,
            "Default",
            source=source,
            microservice=microservice,
            cluster=compute.cluster,
            repository=images,
            execution_role=execution_role,
            preparation=service.preparation,
            subnets=network.application_subnets,
            artifacts=ArtifactAccess(self, "Artifacts", bucket=shared.artifacts, encryption_key=shared.key),
            logs_key=kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn),
            props=ServicePipelineProps(
                name=f"{prefix}-{microservice.name}",
                approval=release.approval,
                removal_policy=keep,
            ),
        ).pipeline
        if release.approval:
            PipelineNotifications(self, "Notifications", topic=network.alarm_topic).watch(
                pipeline, name=f"{prefix}-{microservice.name}-pipeline"
            )
        CfnOutput(
            self,
            "PipelineUrl",
            value=f"https://{self.region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/"
            f"{pipeline.pipeline_name}/view?region={self.region}",
        )
