from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.access_log_bucket import AccessLogBucket
from platform_constructs.artifact_bucket import ArtifactBucket
from platform_constructs.compliance import acknowledge
from platform_constructs.conventions import removal_policy
from platform_constructs.encryption_key import EncryptionKey
from platform_constructs.image_repository import ImageRepository
from platform_constructs.pipeline_notifications import PipelineNotifications
from platform_constructs.platform_events import PipelineEvents
from platform_constructs.service_pipeline import ServicePipeline, ServicePipelineProps
from platform_constructs.source_repository import SourceRepository, SourceRepositoryProps
from settings import Delivery, Release
from stacks.compute import ComputeStack
from stacks.network import NetworkStack
from stacks.service import ServiceStack


class DeliveryStack(Stack):
    """From a push to a release: the repository of the sources, and an image repository and a pipeline a service."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: NetworkStack,
        compute: ComputeStack,
        services: Sequence[ServiceStack],
        delivery: Delivery,
        release: Release,
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-delivery",
            termination_protection=protected,
            **stack,
        )
        self._prefix = prefix
        self._removal_policy = removal_policy(protected=protected)
        self._compute = compute
        self._subnets = network.application_subnets
        self._approval = release.approval
        self._logs_key = kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn)
        self._key = EncryptionKey(
            self,
            "Key",
            description=f"Artifacts and images of {self.stack_name}",
            removal_policy=self._removal_policy,
        )
        self._artifacts = ArtifactBucket(
            self,
            "Artifacts",
            encryption_key=self._key,
            access_logs=AccessLogBucket(self, "AccessLogs", removal_policy=self._removal_policy),
            removal_policy=self._removal_policy,
        )
        self._source = SourceRepository(
            self,
            "Source",
            props=SourceRepositoryProps(
                source=delivery.source,
                repository=delivery.repository,
                create=delivery.create_repository,
                branch=delivery.branch,
                connection_arn=delivery.connection_arn,
            ),
        )
        notifications = (
            PipelineNotifications(self, "Notifications", topic=network.alarm_topic)
            if release.approval
            else None
        )
        self.events = PipelineEvents(
            prefix=prefix, begin_empty=delivery.source == "codecommit" and delivery.create_repository
        )
        for service in services:
            pipeline = self._pipeline(service)
            if notifications is not None:
                notifications.watch(pipeline, name=f"{prefix}-{service.microservice.name}-pipeline")
            CfnOutput(
                self,
                f"{service.node.id}PipelineUrl",
                value=f"https://{self.region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/"
                f"{pipeline.pipeline_name}/view?region={self.region}",
            )
        if self._source.repository is not None:
            CfnOutput(self, "RepositoryCloneUrl", value=self._source.repository.repository_clone_url_grc)

    def _pipeline(self, service: ServiceStack) -> codepipeline.Pipeline:
        name, microservice = service.node.id, service.microservice
        repository = ImageRepository(
            self,
            f"{name}Images",
            name=f"{self._prefix}/{microservice.name}",
            encryption_key=self._key,
            removal_policy=self._removal_policy,
        )
        # By name: the grant stays in this stack, and the service's needs nothing of it.
        execution_role = iam.Role.from_role_name(
            self, f"{name}ExecutionRole", microservice.execution_role.role_name
        )
        repository.grant_pull(execution_role)
        acknowledge(
            execution_role,
            "IAM5[Resource::*]",
            "Signing in to the image registry (ecr:GetAuthorizationToken) knows no resource; pulling is "
            "allowed for this service's repository only.",
        )
        return ServicePipeline(
            self,
            name,
            source=self._source,
            microservice=microservice,
            cluster=self._compute.cluster,
            repository=repository,
            execution_role=execution_role,
            preparation=service.preparation,
            subnets=self._subnets,
            artifacts=self._artifacts,
            encryption_key=self._key,
            logs_key=self._logs_key,
            props=ServicePipelineProps(
                name=f"{self._prefix}-{microservice.name}",
                approval=self._approval,
                removal_policy=self._removal_policy,
            ),
        ).pipeline
