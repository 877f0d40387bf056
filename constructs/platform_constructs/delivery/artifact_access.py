import json

from aws_cdk import Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from platform_constructs.common.compliance import acknowledge
from platform_constructs.common.encryption_key import EncryptionKey
from platform_constructs.delivery.artifact_bucket import ArtifactBucket, grant_artifacts

ARTIFACT_BUCKET_OUTPUT = "ArtifactBucketName"


class ArtifactAccess(Construct):
    """The bucket of artifacts and its key as a pipeline of another stack uses them.

    Both are imported, so that what a role may do with them is written on the role's side only. The bucket's stack has
    the output `ARTIFACT_BUCKET_OUTPUT`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: ArtifactBucket, encryption_key: EncryptionKey
    ) -> None:
        super().__init__(scope, construct_id)
        self.encryption_key = kms.Key.from_key_arn(self, "Key", encryption_key.key_arn)
        self.bucket = s3.Bucket.from_bucket_attributes(
            self,
            "Bucket",
            # By an output with a name of its own, which the finding below has in its id.
            bucket_name=Fn.get_stack_output(Stack.of(bucket).stack_name, ARTIFACT_BUCKET_OUTPUT),
            encryption_key=self.encryption_key,
        )

    def grant(self, role: iam.Role, *, write: bool = False) -> None:
        """Let a role take artifacts, and leave its own."""
        grant_artifacts(role, bucket=self.bucket, encryption_key=self.encryption_key, write=write)
        _, parts = Stack.of(self).resolve(self.bucket.arn_for_objects("*"))["Fn::Join"]
        objects = "".join(
            each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in parts
        )
        acknowledge(
            role,
            f"IAM5[Resource::{objects}]",
            "The bucket holds nothing but artifacts of pipelines, and CodePipeline chooses their names.",
        )
