from typing import cast

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

# Characters that shells, URLs and JSON would have to escape.
EXCLUDED_CHARACTERS = " %+~`#$&*()|[]{}:;<>?!'/@\"\\"


class DatabaseUser(Construct):
    """The credentials of one database user: generated, never shown, rotated every 30 days.

    Rotation alternates between two users of the same rights, so that a connection opened with the
    previous password goes on working until the rotation after the next.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        username: str,
        instance: rds.DatabaseInstance,
        encryption_key: kms.IKey,
        rotation_subnets: ec2.SubnetSelection,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        secret = rds.DatabaseSecret(
            self,
            "Secret",
            username=username,
            encryption_key=encryption_key,
            exclude_characters=EXCLUDED_CHARACTERS,
            master_secret=instance.secret,
        )
        secret.apply_removal_policy(removal_policy)
        self.secret: secretsmanager.ISecret = secret.attach(instance)
        rotation = instance.add_rotation_multi_user(
            f"{construct_id}Rotation",
            secret=self.secret,
            automatically_after=Duration.days(30),
            exclude_characters=EXCLUDED_CHARACTERS,
            # The user comes into being with the first deployment of the services, after this.
            rotate_immediately_on_update=False,
            vpc_subnets=rotation_subnets,
        )
        name_rotation(rotation, username)


def name_rotation(rotation: secretsmanager.SecretRotation, username: str) -> None:
    """Name the function that rotates a user's password after the stack.

    CDK names it after its path in the app alone, so that two environments in one account would collide.
    """
    application = cast(CfnResource, rotation.node.find_child("Resource"))
    name = f"{Stack.of(rotation).stack_name}-{username.replace('_', '-')}-rotation"
    application.add_property_override("Parameters.functionName", name)
