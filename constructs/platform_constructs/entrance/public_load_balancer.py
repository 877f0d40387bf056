from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from platform_constructs.common.access_log_bucket import AccessLogBucket
from platform_constructs.common.compliance import acknowledge

# On what the load balancer answers by itself (403, 404, redirects, 5xx) as on the services' pages, where the values
# are the same:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/header-modification.html
_RESPONSE_HEADERS = {
    "routing.http.response.server.enabled": "false",
    "routing.http.response.x_content_type_options.header_value": "nosniff",
    "routing.http.response.x_frame_options.header_value": "DENY",
}
_ONLY_BY_HTTPS = {
    "routing.http.response.strict_transport_security.header_value": "max-age=31536000; includeSubDomains"
}
_NOT_FOUND = elbv2.ListenerAction.fixed_response(404, content_type="text/plain", message_body="Not found")


class PublicLoadBalancer(Construct):
    """The one way in: a production listener for everybody and a test listener for named networks only.

    With a domain both speak HTTPS and port 80 redirects; without one both speak HTTP. With `cloudfront_prefix_list` it is
    internal, everybody comes by CloudFront, the only one whom its production listener admits, and CloudFront redirects.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc: ec2.IVpc,
        test_traffic_cidrs: Sequence[str],
        domain: str | None,
        hosted_zone_id: str | None,
        cloudfront_prefix_list: str | None,
        waf: bool,
        deletion_protection: bool,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="The load balancer",
            allow_all_outbound=False,
        )
        internal = cloudfront_prefix_list is not None
        self.load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            load_balancer_name=name,
            internet_facing=not internal,
            security_group=self.security_group,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="Application" if internal else "Public"),
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elbv2.DesyncMitigationMode.STRICTEST,
            deletion_protection=deletion_protection,
        )
        access_logs = AccessLogBucket(
            self,
            "AccessLogs",
            access_logs=AccessLogBucket(self, "ReadersOfAccessLogs", removal_policy=removal_policy),
            removal_policy=removal_policy,
        )
        self.load_balancer.log_access_logs(access_logs, prefix="load-balancer")
        # Deleted after it: a bucket that is still written to cannot be emptied.
        self.load_balancer.node.add_dependency(access_logs)
        if not deletion_protection:
            acknowledge(
                self.load_balancer,
                "ELBDeletionProtectionEnabled",
                "By setting (protected): an environment that is destroyed and made again at will.",
            )
        if not waf:
            acknowledge(
                self.load_balancer,
                "ALBWAFEnabled",
                "Internal: CloudFront is the way in, and the web ACL, where [waf] asks for one, is CloudFront's."
                if internal
                else "By setting (no [waf]): an environment for tries, whose services validate what they are sent.",
            )
        self.certificate: acm.ICertificate | None = None
        certificates: list[elbv2.IListenerCertificate] = []
        if domain and hosted_zone_id:
            self.certificate = self._serve_domain(domain, hosted_zone_id, alias=not internal)
            certificates.append(elbv2.ListenerCertificate.from_certificate_manager(self.certificate))
        self.secure = bool(certificates)
        self.host = domain or self.load_balancer.load_balancer_dns_name
        self.production_port, self.test_port = (443, 8443) if self.secure else (80, 8080)
        self._internal = internal
        self.production_listener = self._listener("Production", self.production_port, certificates)
        self.test_listener = self._listener("Test", self.test_port, certificates)
        if cloudfront_prefix_list is None:
            self._open(self.production_port, ec2.Peer.any_ipv4(), "The public")
        else:
            self._admit_cloudfront(vpc, cloudfront_prefix_list)
        for cidr in test_traffic_cidrs:
            self._open(self.test_port, ec2.Peer.ipv4(cidr), "Test traffic")
        if internal:
            return
        if self.secure:
            self._redirect_to_https()
        acknowledge(
            self.security_group,
            ("EC23", "CKV_AWS_260"),
            "A public directory is read by everybody: only the production ports of the load balancer are "
            "open to the world, and nothing behind it has a public address.",
        )

    @property
    def transport(self) -> str:
        """What protects requests on their way here, in words."""
        if self._internal:
            inside = "TLS" if self.secure else "plain HTTP inside AWS's network"
            return f"HTTPS only: CloudFront redirects, and reaches the load balancer by {inside}"
        if self.secure:
            return "HTTPS only: port 80 redirects"
        return "plain HTTP: everybody on the way can read and change requests; set [tls] for other than sample data"

    @property
    def url(self) -> str:
        """Where the public finds the application."""
        return f"{'https' if self.secure else 'http'}://{self.host}"

    def admit(self, scope: Construct, peer: ec2.ISecurityGroup, who: str) -> None:
        """Let somebody inside the VPC reach the production listener, by a rule of the scope's stack."""
        ec2.CfnSecurityGroupIngress(
            scope,
            "ToLoadBalancer",
            group_id=self.security_group.security_group_id,
            source_security_group_id=peer.security_group_id,
            ip_protocol="tcp",
            from_port=self.production_port,
            to_port=self.production_port,
            description=who,
        )

    def _admit_cloudfront(self, vpc: ec2.IVpc, prefix_list: str) -> None:
        # A group of its own: the list counts as 55 of the 60 rules that a group holds.
        # https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html
        group = ec2.SecurityGroup(
            self,
            "FromCloudFront",
            vpc=vpc,
            description="CloudFront to the load balancer",
            allow_all_outbound=False,
        )
        # Requests through a VPC origin keep CloudFront's addresses: a rule for the VPC's own range admits none.
        # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html
        group.add_ingress_rule(
            ec2.Peer.prefix_list(prefix_list), ec2.Port.tcp(self.production_port), "CloudFront"
        )
        # Not by add_security_group, which would let the targets' groups in and out of this one once more.
        cast(elbv2.CfnLoadBalancer, self.load_balancer.node.default_child).add_property_override(
            "SecurityGroups", [self.security_group.security_group_id, group.security_group_id]
        )

    def _listener(
        self, name: str, port: int, certificates: list[elbv2.IListenerCertificate]
    ) -> elbv2.ApplicationListener:
        listener = self.load_balancer.add_listener(
            name,
            port=port,
            open=False,
            protocol=elbv2.ApplicationProtocol.HTTPS if certificates else elbv2.ApplicationProtocol.HTTP,
            certificates=certificates or None,
            # What AWS recommends: TLS 1.3 and 1.2 with authenticated ciphers only, and a key exchange that later
            # quantum computers cannot undo, where the browser can do it:
            # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
            ssl_policy=elbv2.SslPolicy.TLS13_12_RES_PQ if certificates else None,
            default_action=_NOT_FOUND,
        )
        _add_headers(listener, {**_RESPONSE_HEADERS, **(_ONLY_BY_HTTPS if certificates else {})})
        if not certificates:
            acknowledge(
                listener,
                ("ELBv2ACMCertificateRequired", "ALBHttpToHttpsRedirection", "CKV_AWS_2", "CKV_AWS_103"),
                "By setting (no [tls]): without a domain of its own an environment has no certificate for the load balancer. "
                "It is internal: viewers speak HTTPS to CloudFront, and CloudFront reaches it inside AWS's network."
                if self._internal
                else "By setting (no [tls]): without a domain of its own an environment has no certificate, and says in its "
                "outputs that it speaks plain HTTP.",
            )
        return listener

    def _open(self, port: int, peer: ec2.IPeer, who: str) -> None:
        self.security_group.add_ingress_rule(peer, ec2.Port.tcp(port), who)

    def _serve_domain(self, domain: str, hosted_zone_id: str, *, alias: bool) -> acm.ICertificate:
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=hosted_zone_id, zone_name=domain
        )
        if alias:
            target = route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.load_balancer))
            route53.ARecord(self, "Alias", zone=zone, target=target)
        return acm.Certificate(
            self, "Certificate", domain_name=domain, validation=acm.CertificateValidation.from_dns(zone)
        )

    def _redirect_to_https(self) -> None:
        listener = self.load_balancer.add_listener(
            "Redirect",
            port=80,
            open=False,
            default_action=elbv2.ListenerAction.redirect(port="443", protocol="HTTPS", permanent=True),
        )
        # In an environment that had no domain before, the port is free when that listener has left it.
        listener.node.add_dependency(self.production_listener)
        _add_headers(listener, _RESPONSE_HEADERS)
        acknowledge(
            listener,
            "ELBv2ACMCertificateRequired",
            "Answers every request with a redirect to the listener that has the certificate, and nothing else.",
        )
        self._open(80, ec2.Peer.any_ipv4(), "The public, to be redirected")


def _add_headers(listener: elbv2.ApplicationListener, attributes: Mapping[str, str]) -> None:
    for key, value in attributes.items():
        listener.set_attribute(key, value)
