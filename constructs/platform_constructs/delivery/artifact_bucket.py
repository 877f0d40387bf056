from typing import cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from platform_constructs.common.compliance import acknowledge, acknowledge_provider
from platform_constructs.common.encryption_key import KEY_USER
from platform_constructs.common.permissions import allow


class ArtifactBucket(s3.Bucket):
    """A private bucket, encrypted with a customer key, for what pipelines' stages hand on or a canary finds; kept for 90 days."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        encryption_key: kms.IKey,
        access_logs: s3.IBucket,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=encryption_key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="artifacts/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(90),
                    noncurrent_version_expiration=Duration.days(7),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
            removal_policy=removal_policy,
            # What may go away goes with its content.
            auto_delete_objects=removal_policy == RemovalPolicy.DESTROY,
        )
        if removal_policy == RemovalPolicy.DESTROY:
            acknowledge_provider(self, "S3AutoDeleteObjects")
        self._key = encryption_key
        acknowledge(
            self,
            "S3BucketReplicationEnabled",
            "Artifacts are built from the repository again at will and mean nothing outside their pipeline.",
        )

    def grant_artifacts(self, role: iam.Role, *, write: bool = False) -> None:
        """Let a role of this stack take artifacts, and leave its own."""
        grant_artifacts(role, bucket=self, encryption_key=self._key, write=write)
        bucket_id = Stack.of(self).resolve(cast(s3.CfnBucket, self.node.default_child).logical_id)
        acknowledge(
            role,
            f"IAM5[Resource::<{bucket_id}.Arn>/*]",
            "The bucket holds nothing but artifacts, whose names are not known before they are there.",
        )


def grant_artifacts(role: iam.Role, *, bucket: s3.IBucket, encryption_key: kms.IKey, write: bool) -> None:
    """Let a role take artifacts, and leave its own: less than CDK's grants, which also delete and list."""
    allow(role, "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", on=bucket.bucket_arn)
    objects = ["s3:GetObject", "s3:GetObjectVersion", *(["s3:PutObject"] if write else [])]
    allow(role, *objects, on=bucket.arn_for_objects("*"))
    use = KEY_USER if write else ("kms:Decrypt", "kms:DescribeKey")
    allow(role, *use, on=encryption_key.key_arn)
