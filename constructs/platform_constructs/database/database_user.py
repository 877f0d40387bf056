from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from platform_constructs.database.credential_rotation import EXCLUDED_CHARACTERS


class DatabaseUser(Construct):
    """The credentials of one database user: generated, never shown."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        username: str,
        administrator: secretsmanager.ISecret,
        database: secretsmanager.ISecretAttachmentTarget,
        encryption_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        secret = rds.DatabaseSecret(
            self,
            "Secret",
            username=username,
            encryption_key=encryption_key,
            exclude_characters=EXCLUDED_CHARACTERS,
            master_secret=administrator,
        )
        secret.apply_removal_policy(removal_policy)
        self.secret: secretsmanager.ISecret = secret.attach(database)
