"""Drills that stop tasks: one of them, or all in one zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ops.aws.clients import each
from ops.drill.conduct import Look
from ops.errors import OpsError
from ops.load.strength import Fleet, Task, in_words


@dataclass
class KillTasks:
    """Tasks of some services are stopped by ECS at once."""

    name: str
    meaning: str
    fleet: Fleet
    victims: Sequence[Task]
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> Sequence[str]:
        return [f"stop task {task.id} of {task.service} in {task.zone}" for task in self.victims]

    def strike(self) -> None:
        each(lambda task: self.fleet.stop(task, f"suppliers drill {self.name}"), self.victims)

    def look(self) -> Look:
        strengths = self.fleet.strengths(without={task.arn for task in self.victims})
        return Look(in_words(strengths), all(strength.full for strength in strengths.values()))


def kill_task(fleet: Fleet, service: str, task_id: str | None) -> KillTasks:
    """One task of a service: the oldest, or the one whose id begins so."""
    tasks = [task for task in fleet.tasks() if task.service == service]
    chosen = [task for task in tasks if task.id.startswith(task_id or "")]
    if not chosen:
        running = ", ".join(task.id for task in tasks) or "none"
        raise OpsError(f"{service} has no task {task_id or ''}: running: {running}")
    if task_id and len(chosen) > 1:
        raise OpsError(f"--task {task_id}: {len(chosen)} tasks of {service} begin so: give more of the id")
    victim = chosen[0]
    return KillTasks(
        "kill-task",
        "One task is stopped as ECS stops tasks: it leaves the load balancer, gets SIGTERM, and SIGKILL if it "
        "lingers. That is what a maintenance of Fargate or a failed health check does. A crash, in which requests "
        "under way are lost, is not shown.",
        fleet,
        [victim],
        {
            "task": f"{victim.id} of {service} in {victim.zone}",
            "tasks of the service": str(len(tasks)),
        },
    )


def kill_zone(fleet: Fleet, zone: str | None) -> KillTasks:
    """All tasks in one zone: the one named, or the one with the most tasks."""
    tasks = fleet.tasks()
    by_zone = Counter(task.zone for task in tasks)
    chosen = zone or max(sorted(by_zone), key=by_zone.__getitem__, default="")
    victims = [task for task in tasks if task.zone == chosen]
    if not victims:
        raise OpsError(f"--zone {chosen}: no task runs there; zones with tasks: {', '.join(sorted(by_zone))}")
    return KillTasks(
        "kill-zone",
        "All tasks in one availability zone are stopped at once, and the services have to bear the load with the "
        "others until they are replaced. The zone itself keeps working: ECS may start tasks there again, the load "
        "balancer's node, the NAT gateway and the database's instance there are untouched, and stopped tasks "
        "leave the load balancer in order. The whole loss of a zone is shown by AWS Fault Injection Service "
        '(scenario "AZ Availability: Power Interruption").',
        fleet,
        victims,
        {
            "zone": chosen,
            "tasks by zone": ", ".join(f"{name} {count}" for name, count in sorted(by_zone.items())),
            "tasks stopped": ", ".join(f"{task.id} ({task.service})" for task in victims),
        },
    )
