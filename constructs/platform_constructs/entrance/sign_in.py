from dataclasses import dataclass

from aws_cdk import Duration, SecretValue
from aws_cdk import aws_elasticloadbalancingv2 as elbv2

# A working day; then the identity provider is asked again.
_SESSION = Duration.hours(8)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """An OpenID Connect provider that the load balancer asks who somebody is, before it lets them through.

    The client secret is the whole value of the Secrets Manager secret `client_secret_name`; CloudFormation reads
    it when it makes the rule, so that no template holds it.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    client_secret_name: str

    def before(self, action: elbv2.ListenerAction) -> elbv2.ListenerAction:
        """The action, for those who have signed in; others are sent to the provider.

        Opens the load balancer's way out to the provider, by HTTPS.
        """
        return elbv2.ListenerAction.authenticate_oidc(
            issuer=self.issuer,
            authorization_endpoint=self.authorization_endpoint,
            token_endpoint=self.token_endpoint,
            user_info_endpoint=self.user_info_endpoint,
            client_id=self.client_id,
            client_secret=SecretValue.secrets_manager(self.client_secret_name),
            on_unauthenticated_request=elbv2.UnauthenticatedAction.AUTHENTICATE,
            session_timeout=_SESSION,
            next=action,
        )
