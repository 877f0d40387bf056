from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from platform_constructs.common.access_log_bucket import AccessLogBucket
from platform_constructs.common.conventions import removal_policy
from platform_constructs.common.encryption_key import EncryptionKey
from platform_constructs.delivery.artifact_access import ARTIFACT_BUCKET_OUTPUT
from platform_constructs.delivery.artifact_bucket import ArtifactBucket
from platform_constructs.delivery.source_repository import SourceRepository, SourceRepositoryProps
from platform_constructs.observability.platform_events import PipelineEvents
from settings import Delivery


class DeliveryStack(Stack):
    """What pipelines share: the repository of the sources, the artifacts, and the key of these and of the images."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        delivery: Delivery,
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
        keep = removal_policy(protected=protected)
        self.key = EncryptionKey(
            self,
            "Key",
            description=f"Artifacts and images of {self.stack_name}",
            removal_policy=keep,
        )
        self.artifacts = ArtifactBucket(
            self,
            "Artifacts",
            encryption_key=self.key,
            access_logs=AccessLogBucket(self, "AccessLogs", removal_policy=keep),
            removal_policy=keep,
        )
        CfnOutput(self, ARTIFACT_BUCKET_OUTPUT, value=self.artifacts.bucket_name)
        self.source = SourceRepositoryProps(
            source=delivery.source,
            repository=delivery.repository,
            create=delivery.create_repository,
            branch=delivery.branch,
            connection_arn=delivery.connection_arn,
        )
        repository = SourceRepository(self, "Source", props=self.source).repository
        self.events = PipelineEvents(
            prefix=prefix, begin_empty=delivery.source == "codecommit" and delivery.create_repository
        )
        if repository is not None:
            CfnOutput(self, "RepositoryCloneUrl", value=repository.repository_clone_url_grc)
