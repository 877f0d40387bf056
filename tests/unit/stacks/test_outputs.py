from __future__ import annotations

import pytest

from tests.conftest import ENVIRONMENTS, Synthesize

PROMISED = {
    "Compute": (
        "ApplicationUrl",
        "AdminUrl",
        "ClusterName",
        "ProductionListenerArn",
        "TestListenerArn",
    ),
    "Customer": ("ServiceName", "BlueTargetGroupArn", "GreenTargetGroupArn", "LogGroupName", "FollowRelease"),
    "Data": ("DatabaseIdentifier", "DatabaseEndpoint", "DatabaseName"),
    "Observability": ("DashboardUrl", "AlarmTopicArn"),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("stack", PROMISED)
def test_what_an_operator_needs_is_an_output(templates: Synthesize, name: str, stack: str) -> None:
    assert set(PROMISED[stack]) <= set(templates(name)[stack]["Outputs"])
