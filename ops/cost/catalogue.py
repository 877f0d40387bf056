"""The keys of the price table: the service that bills each, and how the pricing API is asked for it.

Codes and usage types are those of AWS's offer files, which the pricing API answers from:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# What bills a key, by the first word of it.
_SERVICES: Mapping[str, str] = {
    "alb": "Elastic Load Balancing",
    "cloudfront": "CloudFront",
    "cloudwatch": "CloudWatch",
    "codebuild": "CodeBuild",
    "codecommit": "CodeCommit",
    "codepipeline": "CodePipeline",
    "ecr": "ECR",
    "elasticache": "ElastiCache",
    "fargate": "Fargate",
    "fargate_spot": "Fargate",
    "kms": "KMS",
    "lambda": "Lambda",
    "nat": "VPC",
    "public_ipv4": "VPC",
    "rds": "RDS",
    "rds_proxy": "RDS",
    "s3": "S3",
    "secretsmanager": "Secrets Manager",
    "sns": "SNS",
    "sqs": "SQS",
    "synthetics": "CloudWatch",
    "transfer": "Data transfer",
    "vpce": "VPC",
    "waf": "WAF",
    "xray": "X-Ray",
}


@dataclass(frozen=True)
class Query:
    """How the pricing API finds a price.

    `usage_type` matches the usage type without the region's prefix (`USE1-`, `EU-`, `us-east-1-` or none); `units` of what
    AWS prices make one unit of the key, so that 10,000 calls come out of the price of a call.
    """

    service: str
    usage_type: str
    filters: Mapping[str, str] = field(default_factory=dict)
    units: int = 1
    # AWS names the region of a transfer by where it starts.
    region_field: str = "regionCode"

    def matches(self, usage_type: str) -> bool:
        """Whether a product's usage type is the one asked for."""
        return (
            re.fullmatch(rf"(?:[A-Z]{{2,4}}\d?-|[a-z-]+-\d-)?(?:{self.usage_type})", usage_type) is not None
        )


def _family(name: str) -> Mapping[str, str]:
    return {"productFamily": name}


_QUERIES: Mapping[str, Query] = {
    "alb.hour": Query("AWSELB", "LoadBalancerUsage", _family("Load Balancer-Application")),
    "alb.lcu_hour": Query("AWSELB", "LCUUsage", _family("Load Balancer-Application")),
    "cloudwatch.alarm_month": Query("AmazonCloudWatch", "CW:AlarmMonitorUsage"),
    "cloudwatch.composite_alarm_month": Query("AmazonCloudWatch", "CW:CompositeAlarmMonitorUsage"),
    "cloudwatch.custom_metric_month": Query("AmazonCloudWatch", "CW:MetricMonitorUsage"),
    "cloudwatch.dashboard_month": Query("AmazonCloudWatch", "DashboardsUsageHour", _family("Dashboard")),
    "cloudwatch.high_resolution_alarm_month": Query("AmazonCloudWatch", "CW:HighResAlarmMonitorUsage"),
    "cloudwatch.logs_ingest_gb": Query("AmazonCloudWatch", "DataProcessing-Bytes", _family("Data Payload")),
    "cloudwatch.logs_insights_gb": Query("AmazonCloudWatch", "DataScanned-Bytes", _family("Data Payload")),
    "cloudwatch.logs_storage_gb_month": Query(
        "AmazonCloudWatch", "TimedStorage-ByteHrs", _family("Storage Snapshot")
    ),
    "codebuild.arm.small_minute": Query("CodeBuild", "Build-Min:ARM:g1.small", _family("Compute")),
    "codebuild.linux.medium_minute": Query("CodeBuild", "Build-Min:Linux:g1.medium", _family("Compute")),
    "codebuild.linux.small_minute": Query("CodeBuild", "Build-Min:Linux:g1.small", _family("Compute")),
    "ecr.gb_month": Query("AmazonECR", "TimedStorage-ByteHrs", _family("EC2 Container Registry")),
    "fargate.arm.gb_hour": Query("AmazonECS", "Fargate-ARM-GB-Hours", _family("Compute")),
    "fargate.arm.vcpu_hour": Query("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU", _family("Compute")),
    "fargate.x86.gb_hour": Query("AmazonECS", "Fargate-GB-Hours", _family("Compute")),
    "fargate.x86.vcpu_hour": Query("AmazonECS", "Fargate-vCPU-Hours:perCPU", _family("Compute")),
    "kms.key_month": Query("awskms", "KMS-Keys", _family("Encryption Key")),
    "kms.requests_10k": Query("awskms", "KMS-Requests", units=10_000),
    "lambda.arm.gb_second": Query("AWSLambda", "Lambda-GB-Second-ARM", {"group": "AWS-Lambda-Duration-ARM"}),
    "lambda.requests_million": Query(
        "AWSLambda", "Request", {"group": "AWS-Lambda-Requests"}, units=1_000_000
    ),
    "lambda.x86.gb_second": Query("AWSLambda", "Lambda-GB-Second", {"group": "AWS-Lambda-Duration"}),
    "nat.gb": Query("AmazonEC2", "NatGateway-Bytes", _family("NAT Gateway")),
    "nat.hour": Query("AmazonEC2", "NatGateway-Hours", _family("NAT Gateway")),
    "public_ipv4.hour": Query("AmazonVPC", "PublicIPv4:InUseAddress"),
    "rds.backup_gb_month": Query("AmazonRDS", "RDS:ChargedBackupUsage", {"databaseEngine": "MySQL"}),
    "rds.storage.gp3.multi_az_gb_month": Query(
        "AmazonRDS", "RDS:Multi-AZ-GP3-Storage", _family("Database Storage")
    ),
    "rds.storage.gp3.single_az_gb_month": Query("AmazonRDS", "RDS:GP3-Storage", _family("Database Storage")),
    "s3.get_1k": Query("AmazonS3", "Requests-Tier2", units=1000),
    "s3.put_1k": Query("AmazonS3", "Requests-Tier1", units=1000),
    "s3.storage_gb_month": Query("AmazonS3", "TimedStorage-ByteHrs", {"volumeType": "Standard"}),
    "secretsmanager.api_10k": Query(
        "AWSSecretsManager", "AWSSecretsManagerAPIRequest", _family("API Request"), units=10_000
    ),
    "secretsmanager.secret_month": Query("AWSSecretsManager", "AWSSecretsManager-Secrets", _family("Secret")),
    "sns.email_100k": Query("AmazonSNS", "DeliveryAttempts-SMTP", _family("Message Delivery"), units=100_000),
    "synthetics.canary_run": Query("AmazonCloudWatch", "CW:Canary-runs"),
    "transfer.internet_gb": Query(
        "AWSDataTransfer",
        "DataTransfer-Out-Bytes",
        {"transferType": "AWS Outbound", "toLocation": "External"},
        region_field="fromRegionCode",
    ),
    "transfer.zone_gb": Query(
        "AWSDataTransfer",
        "DataTransfer-Regional-Bytes",
        {"transferType": "IntraRegion"},
        region_field="fromRegionCode",
    ),
    "vpce.interface.az_hour": Query("AmazonVPC", "VpcEndpoint-Hours", _family("VpcEndpoint")),
    "vpce.interface.gb": Query("AmazonVPC", "VpcEndpoint-Bytes", _family("VpcEndpoint")),
    "waf.acl_month": Query("awswaf", "WebACLV2", _family("Web Application Firewall")),
    "waf.requests_million": Query(
        "awswaf", "RequestV2-Tier1", _family("Web Application Firewall"), units=1_000_000
    ),
    "waf.rule_month": Query("awswaf", "RuleV2", _family("Web Application Firewall")),
}
_ENGINES = {"mysql": "MySQL", "mariadb": "MariaDB", "postgres": "PostgreSQL"}
_INSTANCE = re.compile(r"rds\.(?P<engine>\w+)\.(?P<size>db\.\w+\.\w+)\.(?P<zones>single_az|multi_az)_hour")

_NODE = re.compile(r"elasticache\.(?P<engine>valkey|redis)\.(?P<size>cache\.\w+\.\w+)_hour")


def service_of(key: str) -> str:
    """The service whose bill a price is on."""
    word = key.partition(".")[0]
    return _SERVICES.get(word, word)


def query(key: str) -> Query | None:
    """How the pricing API is asked for a price, or None where it is published on a page only."""
    node = _NODE.fullmatch(key)
    if node is not None:
        return Query(
            "AmazonElastiCache",
            r"NodeUsage:.+",
            {
                "productFamily": "Cache Instance",
                "instanceType": node["size"],
                "cacheEngine": node["engine"].capitalize(),
            },
        )
    instance = _INSTANCE.fullmatch(key)
    if instance is None or instance["engine"] not in _ENGINES:
        return _QUERIES.get(key)
    single = instance["zones"] == "single_az"
    return Query(
        "AmazonRDS",
        rf"{'InstanceUsage' if single else 'Multi-AZUsage'}:.+",
        {
            "productFamily": "Database Instance",
            "instanceType": instance["size"],
            "databaseEngine": _ENGINES[instance["engine"]],
            "deploymentOption": "Single-AZ" if single else "Multi-AZ",
        },
    )
