from collections.abc import Mapping
from functools import cached_property

from aws_cdk import Fn, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct, DependencyGroup, IDependable

from platform_constructs.database.database_proxy import PROXY_PORT, DatabaseProxy
from platform_constructs.database.relational_database import DATABASE_PORT, RelationalDatabase

# Of the stack that holds the database.
SECURITY_GROUP_OUTPUT = "DatabaseSecurityGroupId"
# Where the images keep the certificate authorities of Amazon RDS.
_AUTHORITIES = "/etc/ssl/certs/rds-global-bundle.pem"
# Those, and the ones that sign for proxies: https://www.amazontrust.com/repository/
_AUTHORITIES_WITH_PROXY = "/etc/ssl/certs/rds-and-proxy.pem"


class DatabaseAccess(Construct):
    """The database as tasks of another stack see it: where it is, and who may read which credentials.

    Key, secrets and security group are imported by their names, so that grants stay on the reader's
    side: a grant that also wrote the key's policy would tie the two stacks in a knot.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        database: RelationalDatabase,
        key: kms.IKey,
        migrator_secret: secretsmanager.ISecret,
        user_secrets: Mapping[str, secretsmanager.ISecret],
        proxy: DatabaseProxy | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._key = kms.Key.from_key_arn(self, "Key", key.key_arn)
        self._database = database
        self._proxy = proxy
        self.administrator = self._imported("Administrator", database.administrator_secret)
        self.migrator = self._imported("Migrator", migrator_secret)
        self.users = {name: self._imported(f"User-{name}", secret) for name, secret in user_secrets.items()}
        self.client_security_group = self._group("Clients", database.client_security_group)

    @property
    def location(self) -> dict[str, str]:
        """Environment variables that say where the database itself is and how its identity is verified."""
        endpoint = self._database.endpoint
        return {
            "DB_HOST": endpoint.hostname,
            "DB_PORT": Token.as_string(endpoint.port),
            "DB_NAME": self._database.name,
            "DB_TLS_CA": _AUTHORITIES,
        }

    @property
    def reader_location(self) -> dict[str, str]:
        """Environment variables that say where to read; none where nothing follows the database."""
        reader = self._database.reader
        if reader is None:
            return {}
        return {"DB_READER_HOST": reader.hostname, "DB_READER_PORT": Token.as_string(reader.port)}

    def environment(self, service: str, *, only_reads: bool) -> dict[str, str]:
        """Environment variables of a service that connects as its own user."""
        return {
            **self.location,
            **self._way_of_services(),
            **(self.reader_location if only_reads else {}),
            "DB_SECRET_ARN": self.users[service].secret_arn,
        }

    def admit(self, client: ec2.SecurityGroup, *, only_reads: bool) -> IDependable:
        """Let a service's group reach what its environment names: the proxy where there is one, a replica itself.

        The rules are of the service's stack, and its group stays the same whatever it reaches, as CloudFormation cannot
        change the groups of a service that CodeDeploy releases:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
        """
        admitted = DependencyGroup()
        ways: list[tuple[str, str, int]] = []
        if self._proxy is not None:
            ways.append(("Proxy", self._proxy.security_group.security_group_id, PROXY_PORT))
        if self._proxy is None or (only_reads and self._database.reader is not None):
            # An output that is there whoever reads it: who moves from it to the proxy, or back, lets go of nothing.
            published = Fn.get_stack_output(Stack.of(self._database).stack_name, SECURITY_GROUP_OUTPUT)
            ways.append(("Database", published, DATABASE_PORT))
        for name, group, port in ways:
            server = ec2.SecurityGroup.from_security_group_id(client, name, group, allow_all_outbound=False)
            server.connections.allow_from(client, ec2.Port.tcp(port), f"{name} of the service")
            admitted.add(server)
        return admitted

    def _way_of_services(self) -> dict[str, str]:
        if self._proxy is None:
            return {}
        return {
            "DB_HOST": self._proxy.endpoint,
            "DB_PORT": str(PROXY_PORT),
            "DB_TLS_CA": _AUTHORITIES_WITH_PROXY,
            "DB_PROXY": "true",
        }

    def grant_connect(self, service: str, grantee: iam.IGrantable) -> None:
        """Allow reading the credentials of the service's own user, and no other's."""
        self._grant_read(grantee, self.users[service])

    @cached_property
    def manager_role(self) -> iam.Role:
        """The role of tasks that make these users and change the schema: it reads the administrator's credentials too."""
        role = iam.Role(
            self,
            "ManagerRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="Prepares the database for the services",
        )
        self._grant_read(role, self.administrator, self.migrator, *self.users.values())
        return role

    def _grant_read(self, grantee: iam.IGrantable, *secrets: secretsmanager.ISecret) -> None:
        # Not by Secret.grant_read: it lets a secret be described too, and forgets a key that is imported.
        # https://github.com/aws/aws-cdk/issues/20087
        by_secrets_manager = f"secretsmanager.{Stack.of(self).region}.amazonaws.com"
        for statement in (
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"], resources=[each.secret_arn for each in secrets]
            ),
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[self._key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": by_secrets_manager}},
            ),
        ):
            grantee.grant_principal.add_to_principal_policy(statement)

    def _imported(self, construct_id: str, secret: secretsmanager.ISecret) -> secretsmanager.ISecret:
        return secretsmanager.Secret.from_secret_attributes(
            self, construct_id, secret_complete_arn=secret.secret_arn, encryption_key=self._key
        )

    def _group(self, construct_id: str, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
        return ec2.SecurityGroup.from_security_group_id(
            self, construct_id, group.security_group_id, mutable=False
        )
