from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from platform_constructs.common.compliance import acknowledge, acknowledge_provider


class AccessLogBucket(s3.Bucket):
    """A private bucket that keeps access logs for a year; who reads them is logged in `access_logs`.

    `written_by_acl` is for CloudFront, whose account writes by an access control list that it adds itself.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        access_logs: s3.IBucket | None = None,
        written_by_acl: bool = False,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-s3-bucket.html
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED
            if written_by_acl
            else s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="access-logs/" if access_logs else None,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(365),
                    noncurrent_version_expiration=Duration.days(30),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
            removal_policy=removal_policy,
            # What may go away goes with its content.
            auto_delete_objects=removal_policy == RemovalPolicy.DESTROY,
        )
        if removal_policy == RemovalPolicy.DESTROY:
            acknowledge_provider(self, "S3AutoDeleteObjects")
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        acknowledge(
            self,
            "S3DefaultEncryptionKMS",
            "The load balancer and S3 deliver access logs to buckets with keys of S3 only; they are encrypted with those.",
        )
        if access_logs is None:
            acknowledge(
                self,
                "CKV_AWS_18",
                "The end of the chain: what is logged here is who read access logs, and a bucket that logs its own access "
                "writes to itself without end.",
            )
        acknowledge(
            self,
            "S3BucketReplicationEnabled",
            "Access logs record what happened in one region and are kept in it; no operation depends on them.",
        )
