from collections.abc import Sequence
from typing import Literal

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from platform_constructs.common.access_log_bucket import AccessLogBucket
from platform_constructs.common.compliance import acknowledge
from platform_constructs.entrance.public_load_balancer import PublicLoadBalancer
from platform_constructs.entrance.viewer_network import HEADER, function_code

# The load balancer answers it itself, by the cookie that it set before it sent somebody to sign in:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
_SIGN_IN_CALLBACK = "/oauth2/idpresponse"
# What CloudFront would keep, some of it for minutes, whatever the answer's headers say:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
_KEPT_ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
# What a public service may need to take a form, and the web ACL's logs and the services' to tell clients apart.
_PUBLIC_HEADERS = ("Content-Type", "Origin", "Sec-Fetch-Site", "User-Agent")
_PRICE_CLASSES = {
    "100": cloudfront.PriceClass.PRICE_CLASS_100,
    "200": cloudfront.PriceClass.PRICE_CLASS_200,
    "all": cloudfront.PriceClass.PRICE_CLASS_ALL,
}
# Above the 60 s after which the load balancer gives a task up, so that it is the load balancer that says so.
_READ_TIMEOUT = Duration.seconds(65)
# Below the 60 s for which the load balancer keeps an idle connection, so that none is used that it is closing.
_KEEP_ALIVE = Duration.seconds(50)


class PublicDistribution(Construct):
    """CloudFront as the only way in from the internet: HTTPS for everybody, and public pages kept at the edge.

    An answer is kept for as long as its service says (`s-maxage` or `max-age`), at most `list_seconds`, and one
    about which it says nothing not at all. It is told apart by path, query, host, language and whether the viewer is
    on one of the administrators' networks, and no cookie gets to or from a public service. `restricted_paths` are
    never kept and get all that a viewer sends. The header of `viewer_network` is set on every request.
    CloudWatch has its metrics in us-east-1 only.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        load_balancer: PublicLoadBalancer,
        admin_cidrs: Sequence[str],
        restricted_paths: Sequence[str],
        signs_in: bool,
        list_seconds: int,
        price_class: Literal["100", "200", "all"],
        domain: str | None,
        hosted_zone_id: str | None,
        certificate: acm.ICertificate | None,
        web_acl_arn: str | None,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        origin = origins.VpcOrigin.with_application_load_balancer(
            load_balancer.load_balancer,
            domain_name=domain,
            vpc_origin_name=name,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY
            if load_balancer.secure
            else cloudfront.OriginProtocolPolicy.HTTP_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            read_timeout=_READ_TIMEOUT,
            keepalive_timeout=_KEEP_ALIVE,
        )
        viewer_request = cloudfront.FunctionAssociation(
            event_type=cloudfront.FunctionEventType.VIEWER_REQUEST,
            function=cloudfront.Function(
                self,
                "ViewerRequest",
                # Names of these are the account's, and CDK's own hold nothing of the environment.
                function_name=f"{name}-viewer-request",
                code=cloudfront.FunctionCode.from_inline(function_code(admin_cidrs)),
                runtime=cloudfront.FunctionRuntime.JS_2_0,
                comment="Says of every request whether it is from a network of administrators",
            ),
        )
        headers = self._headers(name)
        restricted = cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER,
            response_headers_policy=headers,
            function_associations=[viewer_request],
            compress=False,
        )
        paths = [*restricted_paths, *([_SIGN_IN_CALLBACK] if signs_in else [])]
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=name,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origin,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=self._cache_policy(name, Duration.seconds(list_seconds)),
                origin_request_policy=self._origin_request_policy(name),
                response_headers_policy=headers,
                function_associations=[viewer_request],
                compress=True,
            ),
            additional_behaviors=dict.fromkeys(paths, restricted),
            # Kept by path alone, whoever asked: an administrator's 404 would be everybody's.
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(0))
                for status in _KEPT_ERRORS
            ],
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            # Networks of administrators are of IPv4: whoever came by IPv6 would be on none of them.
            enable_ipv6=False,
            price_class=_PRICE_CLASSES[price_class],
            certificate=certificate,
            domain_names=[domain] if domain else None,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2025 if certificate else None,
            web_acl_id=web_acl_arn,
            log_bucket=AccessLogBucket(
                self,
                "AccessLogs",
                access_logs=AccessLogBucket(self, "ReadersOfAccessLogs", removal_policy=removal_policy),
                written_by_acl=True,
                removal_policy=removal_policy,
            ),
            log_includes_cookies=False,
        )
        self.host = domain or self.distribution.distribution_domain_name
        if domain and hosted_zone_id:
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self, "Zone", hosted_zone_id=hosted_zone_id, zone_name=domain
            )
            alias = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
            route53.ARecord(self, "Alias", zone=zone, target=alias)
        self._acknowledge(secure=load_balancer.secure, waf=web_acl_arn is not None)

    @property
    def url(self) -> str:
        """Where the public finds the application."""
        return f"https://{self.host}"

    def metric_requests(self, period: Duration) -> cloudwatch.Metric:
        """Requests of viewers, those answered from the cache among them."""
        return self._metric("Requests", "requests", "Sum", period)

    def metric_error_rate(self, family: Literal["4xx", "5xx"], period: Duration) -> cloudwatch.Metric:
        """The share of a family of errors among the answers to viewers, in percent."""
        return self._metric(f"{family}ErrorRate", family, "Average", period)

    def _metric(self, metric_name: str, label: str, statistic: str, period: Duration) -> cloudwatch.Metric:
        # By hand: CDK's own leave out the region, and find nothing.
        # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-metrics.html
        return cloudwatch.Metric(
            namespace="AWS/CloudFront",
            metric_name=metric_name,
            dimensions_map={"DistributionId": self.distribution.distribution_id, "Region": "Global"},
            statistic=statistic,
            period=period,
            label=label,
        )

    def _cache_policy(self, name: str, longest: Duration) -> cloudfront.CachePolicy:
        return cloudfront.CachePolicy(
            self,
            "PublicPages",
            cache_policy_name=f"{name}-public-pages",
            comment=f"{name}: public pages, as long as their service says",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.seconds(0),
            max_ttl=longest,
            header_behavior=cloudfront.CacheHeaderBehavior.allow_list("Accept-Language", "Host", HEADER),
            query_string_behavior=cloudfront.CacheQueryStringBehavior.all(),
            cookie_behavior=cloudfront.CacheCookieBehavior.none(),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )

    def _origin_request_policy(self, name: str) -> cloudfront.OriginRequestPolicy:
        return cloudfront.OriginRequestPolicy(
            self,
            "PublicRequests",
            origin_request_policy_name=f"{name}-public-requests",
            comment=f"{name}: what public services are told beside what pages are told apart by",
            header_behavior=cloudfront.OriginRequestHeaderBehavior.allow_list(*_PUBLIC_HEADERS),
            query_string_behavior=cloudfront.OriginRequestQueryStringBehavior.all(),
            cookie_behavior=cloudfront.OriginRequestCookieBehavior.none(),
        )

    def _headers(self, name: str) -> cloudfront.ResponseHeadersPolicy:
        # The values of the pages and of the load balancer, in place of theirs, so that each is there once.
        return cloudfront.ResponseHeadersPolicy(
            self,
            "ResponseHeaders",
            response_headers_policy_name=f"{name}-headers",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), include_subdomains=True, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
            ),
        )

    def _acknowledge(self, *, secure: bool, waf: bool) -> None:
        acknowledge(
            self.distribution,
            "CFR1",
            "A public directory: whoever reads it may do so from any country.",
        )
        if not waf:
            acknowledge(
                self.distribution,
                ("CFR2", "CKV_AWS_68"),
                "By setting (no [waf]): an environment for tries, whose services validate what they are sent.",
            )
        if not secure:
            acknowledge(
                self.distribution,
                ("CFR4", "CKV_AWS_174"),
                "By setting (no [tls]): with its own certificate for *.cloudfront.net CloudFront accepts TLS 1.0 and later and "
                "no stricter policy can be set. Browsers of today negotiate TLS 1.3; with a domain 1.2 is the oldest.",
            )
