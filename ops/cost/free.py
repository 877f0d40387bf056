"""Resource types that cost nothing themselves, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_IDENTITY = "permissions are free (https://aws.amazon.com/iam/faqs/)"
_NETWORK = "parts of a VPC are free; gateways, endpoints, addresses and traffic are not (https://aws.amazon.com/vpc/pricing/)"
_BALANCER = "part of its load balancer's hours and capacity units"
_PARENT = "settings of something that is priced itself"
_CODEDEPLOY = "CodeDeploy is free for ECS (https://aws.amazon.com/codedeploy/pricing/)"
_EVENTS = "events of AWS services and schedules are free (https://aws.amazon.com/eventbridge/pricing/)"
_FUNCTION = "runs a function of the stack, which is priced itself"
_BACKUP = "backup plans are free, the copies they keep are priced at the vault (https://aws.amazon.com/backup/pricing/)"
_CLOUDFRONT = "part of its distribution (https://aws.amazon.com/cloudfront/pricing/)"
_WAF = "part of its web ACL"

FREE: Mapping[str, str] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "scaling is free, the tasks are priced at their service",
    "AWS::Backup::BackupPlan": _BACKUP,
    "AWS::Backup::BackupSelection": _BACKUP,
    "AWS::Budgets::Budget": "budgets without actions are free (https://aws.amazon.com/aws-cost-management/pricing/)",
    "AWS::CDK::Metadata": "describes the template",
    "AWS::CertificateManager::Certificate": "public certificates for AWS services are free (https://aws.amazon.com/certificate-manager/pricing/)",
    "AWS::CloudFront::CachePolicy": _CLOUDFRONT,
    "AWS::CloudFront::OriginRequestPolicy": _CLOUDFRONT,
    "AWS::CloudFront::ResponseHeadersPolicy": _CLOUDFRONT,
    "AWS::CloudFront::VpcOrigin": "VPC origins are offered without a charge (https://aws.amazon.com/about-aws/whats-new/2024/11/amazon-cloudfront-vpc-origins/)",
    "AWS::CodeDeploy::Application": _CODEDEPLOY,
    "AWS::CodeDeploy::DeploymentConfig": _CODEDEPLOY,
    "AWS::CodeDeploy::DeploymentGroup": _CODEDEPLOY,
    "AWS::CodeStarNotifications::NotificationRule": "notification rules are free, their topic is priced itself",
    "AWS::EC2::FlowLog": "what it writes is priced at its log group",
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::NetworkAcl": _NETWORK,
    "AWS::EC2::NetworkAclEntry": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetNetworkAclAssociation": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::ECS::TaskDefinition": "tasks are priced at their service; a one-off task runs for seconds",
    "AWS::ElastiCache::SubnetGroup": _PARENT,
    "AWS::ElastiCache::User": _IDENTITY,
    "AWS::ElastiCache::UserGroup": _IDENTITY,
    "AWS::ElasticLoadBalancingV2::Listener": _BALANCER,
    "AWS::ElasticLoadBalancingV2::ListenerCertificate": _BALANCER,
    "AWS::ElasticLoadBalancingV2::ListenerRule": _BALANCER,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _BALANCER,
    "AWS::Events::Rule": _EVENTS,
    "AWS::IAM::ManagedPolicy": _IDENTITY,
    "AWS::IAM::Policy": _IDENTITY,
    "AWS::IAM::Role": _IDENTITY,
    "AWS::KMS::Alias": _PARENT,
    "AWS::Lambda::EventInvokeConfig": _PARENT,
    "AWS::Lambda::Permission": _IDENTITY,
    "AWS::Logs::QueryDefinition": "a saved text; a query is priced when it runs",
    "AWS::Logs::ResourcePolicy": _IDENTITY,
    "AWS::RDS::DBClusterParameterGroup": _PARENT,
    "AWS::RDS::DBParameterGroup": _PARENT,
    "AWS::RDS::DBProxyTargetGroup": _PARENT,
    "AWS::RDS::DBSubnetGroup": _PARENT,
    "AWS::RDS::EventSubscription": "events are free, their topic is priced itself",
    "AWS::Route53::RecordSet": "queries of alias records to a load balancer are free, the zone is not of this project (https://aws.amazon.com/route53/pricing/)",
    "AWS::S3::BucketPolicy": _IDENTITY,
    "AWS::SNS::Subscription": "messages are priced at their topic",
    "AWS::SNS::TopicPolicy": _IDENTITY,
    "AWS::SQS::QueuePolicy": _IDENTITY,
    "AWS::SSM::Document": "documents and standard parameters are free (https://aws.amazon.com/systems-manager/pricing/)",
    "AWS::SSM::Parameter": "documents and standard parameters are free (https://aws.amazon.com/systems-manager/pricing/)",
    "AWS::SecretsManager::ResourcePolicy": _PARENT,
    "AWS::SecretsManager::RotationSchedule": "rotation runs a function, which is priced itself",
    "AWS::SecretsManager::SecretTargetAttachment": _PARENT,
    "AWS::WAFv2::IPSet": _WAF,
    "AWS::WAFv2::LoggingConfiguration": "what it writes is priced at its log group",
    "AWS::WAFv2::RegexPatternSet": _WAF,
    "AWS::WAFv2::WebACLAssociation": _WAF,
    "AWS::XRay::Group": "groups and rules are free, traces are priced at the service they are of",
    "AWS::XRay::SamplingRule": "groups and rules are free, traces are priced at the service they are of",
}


def reason(resource_type: str) -> str | None:
    """Why resources of a type cost nothing themselves, or None where they may cost something."""
    return _FUNCTION if resource_type.startswith("Custom::") else FREE.get(resource_type)
