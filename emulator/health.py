"""What the health checks of one target found: the states of a target on AWS, without the probing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Health:
    """State of one target in one group, and why.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
    """

    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    failures: int = 0
    successes: int = 0
    next_probe: float = 0.0
    probing: bool = False
    since: float = field(default_factory=time.monotonic)

    def succeeded(self, healthy_threshold: int) -> None:
        """Count a success: one makes a new target healthy, one that was unhealthy has to prove itself."""
        self.failures = 0
        self.successes += 1
        if self.state == "initial" or self.successes >= healthy_threshold:
            self.state, self.reason, self.description = "healthy", "", ""

    def failed(self, unhealthy_threshold: int, interval: float, reason: str, description: str) -> bool:
        """Count a failure; True when it makes the target unhealthy."""
        self.successes = 0
        self.failures += 1
        if self.state == "unhealthy":
            return False
        if self.state == "initial":
            # Probed more often than on AWS, it still has as long as there.
            self.reason, self.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
            if time.monotonic() - self.since < unhealthy_threshold * interval:
                return False
        elif self.failures < unhealthy_threshold:
            return False
        self.state, self.reason, self.description = "unhealthy", reason, description
        return True
