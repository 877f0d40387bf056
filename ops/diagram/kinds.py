"""What a diagram calls a resource type, and the colour and letters it gives it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How resources of a type are shown: their name, the letters and colour of their badge, their rank in a list."""

    name: str
    badge: str
    colour: str
    rank: int = 50


COMPUTE, NETWORK, DATA, SECURITY = "#c8511b", "#6b3fa0", "#2e56b3", "#b3243b"
WATCHING, DELIVERY, STORAGE, PLAIN = "#b0276f", "#1f6f8b", "#4b7a1d", "#5b6770"

_KINDS: Mapping[str, Kind] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Kind("scaling", "AS", COMPUTE, 30),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Kind("scaling policy", "AS", COMPUTE, 31),
    "AWS::Backup::BackupPlan": Kind("backup plan", "BK", STORAGE, 10),
    "AWS::Backup::BackupSelection": Kind("backup selection", "BK", STORAGE, 40),
    "AWS::Backup::BackupVault": Kind("backup vault", "BK", STORAGE, 9),
    "AWS::Budgets::Budget": Kind("budget", "$", WATCHING, 20),
    "AWS::CertificateManager::Certificate": Kind("certificate", "TLS", SECURITY, 20),
    "AWS::CloudFront::CachePolicy": Kind("cache policy", "CF", NETWORK, 40),
    "AWS::CloudFront::Distribution": Kind("CloudFront distribution", "CF", NETWORK, 1),
    "AWS::CloudFront::Function": Kind("CloudFront function", "CF", COMPUTE, 14),
    "AWS::CloudFront::OriginRequestPolicy": Kind("origin request policy", "CF", NETWORK, 41),
    "AWS::CloudFront::ResponseHeadersPolicy": Kind("response headers policy", "CF", SECURITY, 42),
    "AWS::CloudFront::VpcOrigin": Kind("VPC origin", "CF", NETWORK, 4),
    "AWS::CloudWatch::Alarm": Kind("alarm", "CW", WATCHING, 25),
    "AWS::CloudWatch::CompositeAlarm": Kind("composite alarm", "CW", WATCHING, 24),
    "AWS::CloudWatch::Dashboard": Kind("dashboard", "CW", WATCHING, 5),
    "AWS::CodeBuild::Project": Kind("build project", "CB", DELIVERY, 8),
    "AWS::CodeCommit::Repository": Kind("repository of sources", "GIT", DELIVERY, 5),
    "AWS::CodeDeploy::Application": Kind("CodeDeploy application", "CD", DELIVERY, 42),
    "AWS::CodeDeploy::DeploymentGroup": Kind("CodeDeploy deployment group", "CD", DELIVERY, 12),
    "AWS::CodePipeline::Pipeline": Kind("pipeline", "CP", DELIVERY, 4),
    "AWS::CodeStarNotifications::NotificationRule": Kind("notification rule", "N", WATCHING, 40),
    "AWS::EC2::EIP": Kind("elastic IP address", "IP", NETWORK, 30),
    "AWS::EC2::FlowLog": Kind("flow log", "LOG", WATCHING, 20),
    "AWS::EC2::InternetGateway": Kind("internet gateway", "IGW", NETWORK, 10),
    "AWS::EC2::NatGateway": Kind("NAT gateway", "NAT", NETWORK, 8),
    "AWS::EC2::NetworkAcl": Kind("network ACL", "ACL", SECURITY, 44),
    "AWS::EC2::NetworkAclEntry": Kind("network ACL entry", "ACL", SECURITY, 66),
    "AWS::EC2::Route": Kind("route", "RT", NETWORK, 60),
    "AWS::EC2::RouteTable": Kind("route table", "RT", NETWORK, 55),
    "AWS::EC2::SecurityGroup": Kind("security group", "SG", SECURITY, 45),
    "AWS::EC2::SecurityGroupEgress": Kind("rule out", "SG", SECURITY, 65),
    "AWS::EC2::SecurityGroupIngress": Kind("rule in", "SG", SECURITY, 64),
    "AWS::EC2::Subnet": Kind("subnet", "NET", NETWORK, 7),
    "AWS::EC2::VPC": Kind("VPC", "VPC", NETWORK, 1),
    "AWS::EC2::VPCEndpoint": Kind("VPC endpoint", "EP", NETWORK, 9),
    "AWS::ECR::Repository": Kind("image repository", "ECR", COMPUTE, 6),
    "AWS::ECS::Cluster": Kind("cluster", "ECS", COMPUTE, 1),
    "AWS::ECS::Service": Kind("ECS service", "ECS", COMPUTE, 1),
    "AWS::ECS::TaskDefinition": Kind("task definition", "ECS", COMPUTE, 6),
    "AWS::ElastiCache::ReplicationGroup": Kind("Valkey cache", "EC", DATA, 2),
    "AWS::ElastiCache::SubnetGroup": Kind("subnet group", "EC", DATA, 33),
    "AWS::ElastiCache::User": Kind("user of the cache", "EC", SECURITY, 26),
    "AWS::ElastiCache::UserGroup": Kind("user group", "EC", SECURITY, 27),
    "AWS::ElasticLoadBalancingV2::Listener": Kind("listener", "LB", NETWORK, 5),
    "AWS::ElasticLoadBalancingV2::ListenerRule": Kind("listener rule", "LB", NETWORK, 12),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Kind("load balancer", "ALB", NETWORK, 1),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Kind("target group", "TG", NETWORK, 11),
    "AWS::Events::Rule": Kind("event rule", "EV", WATCHING, 35),
    "AWS::KMS::Key": Kind("key", "KMS", SECURITY, 20),
    "AWS::Lambda::Function": Kind("function", "\u03bb", COMPUTE, 15),
    "AWS::Logs::LogGroup": Kind("log group", "LOG", WATCHING, 40),
    "AWS::RDS::DBCluster": Kind("MySQL cluster", "RDS", DATA, 1),
    "AWS::RDS::DBClusterParameterGroup": Kind("parameter group", "RDS", DATA, 30),
    "AWS::RDS::DBInstance": Kind("MySQL instance", "RDS", DATA, 1),
    "AWS::RDS::DBParameterGroup": Kind("parameter group", "RDS", DATA, 30),
    "AWS::RDS::DBProxy": Kind("database proxy", "RDS", DATA, 2),
    "AWS::RDS::DBProxyTargetGroup": Kind("target group of the proxy", "RDS", DATA, 32),
    "AWS::RDS::DBSubnetGroup": Kind("subnet group", "RDS", DATA, 31),
    "AWS::RDS::EventSubscription": Kind("event subscription", "RDS", WATCHING, 30),
    "AWS::Route53::RecordSet": Kind("DNS record", "DNS", NETWORK, 20),
    "AWS::S3::Bucket": Kind("bucket", "S3", STORAGE, 10),
    "AWS::SNS::Subscription": Kind("subscription", "SNS", WATCHING, 30),
    "AWS::SNS::Topic": Kind("topic", "SNS", WATCHING, 10),
    "AWS::SQS::Queue": Kind("queue", "SQS", WATCHING, 20),
    "AWS::SecretsManager::RotationSchedule": Kind("rotation", "SEC", SECURITY, 25),
    "AWS::SecretsManager::Secret": Kind("secret", "SEC", SECURITY, 8),
    "AWS::Serverless::Application": Kind("rotation function", "\u03bb", COMPUTE, 28),
    "AWS::Synthetics::Canary": Kind("canary", "CAN", WATCHING, 6),
    "AWS::WAFv2::LoggingConfiguration": Kind("log of the web ACL", "WAF", SECURITY, 46),
    "AWS::WAFv2::WebACL": Kind("web ACL", "WAF", SECURITY, 3),
    "Custom::CodeDeployRelease": Kind("release on deployment", "CD", DELIVERY, 18),
    "Custom::MinimumTasks": Kind("minimum of tasks", "ECS", COMPUTE, 48),
    "Custom::OneOffTask": Kind("one-off task", "ECS", COMPUTE, 17),
    "Custom::VpcRestrictDefaultSG": Kind("closed default security group", "SG", SECURITY, 40),
}
# Held by almost everything, so that showing them would hide the rest.
_PLUMBING = (
    "AWS::CDK::",
    "AWS::EC2::SubnetNetworkAclAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::IAM::",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::SecretTargetAttachment",
    "AWS::WAFv2::WebACLAssociation",
)


def kind_of(resource_type: str) -> Kind | None:
    """How a type is shown, or None for what only connects others; a type not told of by its own name."""
    if resource_type.startswith(_PLUMBING):
        return None
    known = _KINDS.get(resource_type)
    if known is not None:
        return known
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", resource_type.rpartition("::")[2]).lower()
    return Kind(name, name[:2].upper(), PLAIN, 70)


def counted(number: int, name: str) -> str:
    """A name with its number, in the plural where there are several."""
    if number == 1:
        return name
    plural = f"{name}s"
    if name.endswith("y") and not name.endswith(("ay", "ey")):
        plural = f"{name[:-1]}ies"
    elif name.endswith("s"):
        plural = f"{name}es"
    # The noun of "rule in" and "repository of sources" is the first word.
    for preposition in (" in", " out", " of ", " on "):
        head, found, rest = name.partition(preposition)
        if found and (preposition.endswith(" ") or not rest):
            return f"{number} {counted(number, head).split(' ', 1)[1]}{found}{rest}"
    return f"{number} {plural}"
