from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup, IDependable

from platform_constructs.cache.shared_cache import CACHE_PORT, SharedCache
from platform_constructs.common.permissions import allow

# Certificates of ElastiCache are Amazon's public ones: the authorities that the images' system trusts.
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


class CacheAccess(Construct):
    """The shared cache as tasks of another stack see it: where it is, and who may sign in as whom."""

    def __init__(self, scope: Construct, construct_id: str, *, cache: SharedCache) -> None:
        super().__init__(scope, construct_id)
        self._cache = cache

    def admit(self, client: ec2.SecurityGroup) -> IDependable:
        """Let a service's group reach the cache, by rules of the service's stack."""
        server = ec2.SecurityGroup.from_security_group_id(
            client, "Cache", self._cache.security_group.security_group_id, allow_all_outbound=False
        )
        server.connections.allow_from(client, ec2.Port.tcp(CACHE_PORT), "Cache of the service")
        admitted = DependencyGroup()
        admitted.add(server)
        return admitted

    def environment(self, service: str) -> dict[str, str]:
        """Environment variables of a service that signs in as its own user."""
        return {
            "CACHE_HOST": self._cache.host,
            "CACHE_PORT": str(CACHE_PORT),
            "CACHE_NAME": self._cache.name,
            "CACHE_USER": self._cache.users[service].ref,
            "CACHE_TLS_CA": _AUTHORITIES,
        }

    def grant_connect(self, service: str, role: iam.IRole) -> None:
        """Allow signing in to the cache as the service's own user, and no other."""
        for arn in (self._cache.arn, self._cache.users[service].attr_arn):
            allow(role, "elasticache:Connect", on=arn)
