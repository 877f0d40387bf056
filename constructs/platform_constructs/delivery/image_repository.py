from aws_cdk import RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from constructs import Construct

# Each is a version that may be released again.
_IMAGES_KEPT = 50


class ImageRepository(ecr.Repository):
    """Images of one service whose tags never change, scanned when pushed, the newest 50 kept."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        encryption_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            repository_name=name,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=encryption_key,
            removal_policy=removal_policy,
            # A repository that may go away goes with its images.
            empty_on_delete=removal_policy == RemovalPolicy.DESTROY,
        )
        self.add_lifecycle_rule(
            description="Leave the newest images", max_image_count=_IMAGES_KEPT, rule_priority=2
        )
        self.add_lifecycle_rule(
            description="Remove what lost its tag",
            tag_status=ecr.TagStatus.UNTAGGED,
            max_image_count=1,
            rule_priority=1,
        )
