"""`[release]`: how a new version takes over the traffic."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.values import Section

# Who waits for a release waits an hour: CloudFormation for the custom resource that starts CodeDeploy, a pipeline for
# its action that releases by ECS (for CodeDeploy it would wait 5 days, CloudFormation for ECS 36 hours). Shifting takes
# at most 10 minutes of it, starting tasks some.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-service-linearconfiguration.html
AWAITED_BAKE_MINUTES = 40
Controller = Literal["codedeploy", "ecs", "rolling"]
Strategy = Literal["all-at-once", "canary", "linear"]


class Release(Section):
    """How a new version takes over the traffic."""

    controller: Controller = "codedeploy"
    strategy: Strategy = "canary"
    bake_minutes: int = Field(default=10, ge=1, le=1440)
    approval: bool = False
