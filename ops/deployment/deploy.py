"""Deploying an environment: to its AWS account, or its exact templates to the emulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from botocore.exceptions import ClientError
from rich.console import Console

from emulator import lifecycle, report
from emulator.instance import Instance
from ops.aws.clients import Clients, account
from ops.aws.refusals import told_by_aws
from ops.aws.session import Session, clients_of, emulator_instance, told_by_emulator
from ops.deployed import deployment, stacks
from ops.deployment import code, inputs, leftovers, readiness, smoke, stack_policy, taking_back
from ops.deployment.smoke import SmokeTestFailed
from ops.errors import InterruptedWork, OpsError
from ops.release import following, guard, stateful
from ops.synthesis import cdk
from ops.terminal.progress import Progress
from platform_constructs.common.stack_inputs import INPUTS
from settings import ROOT, Environment, Service

ASSEMBLY = guard.TEMPLATE.parent
_TOOLKIT = "CDKToolkit"
# Stacks that do not need each other; each is followed by questions a second, of which CloudFormation answers a few.
_SIDE_BY_SIDE = "4"
_DEPLOYED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of an environment is deployed: one service alone, or all; `ship_checkout` also over what pipelines released."""

    service: str | None = None
    ship_checkout: bool = False

    def services(self, environment: Environment) -> Sequence[Service]:
        """The services that are deployed; raises `OpsError` with those that there are."""
        known = {each.name: each for each in environment.services}
        if self.service is None:
            return environment.services
        if self.service not in known:
            raise OpsError(
                f"{environment.name}: there is no service {self.service!r}; allowed: {', '.join(known)}"
            )
        return (known[self.service],)


def deploy(
    environment: Environment,
    *,
    rehearse: bool,
    console: Console,
    accepted: Sequence[str] = (),
    wanted: Wanted = Wanted(),
    yes: bool = False,
) -> None:
    """Deploy all stacks, prepare the database, smoke-test, and print where it is reached.

    A service whose deployment fails leaves the others deployed. It follows the releases that the stacks start to their
    ends, and ends with the reasons of those that did not succeed. Where tasks are replaced in place, a new version that does
    not pass the smoke test is taken back.

    On AWS it stops before it changes anything where deploying would undo a release, or lose data that no
    pattern in `accepted` names; before it changes a protected environment it asks, unless the answer is `yes`.
    On the emulator it starts with whatever the emulator needs and ends with what the emulator made of it.
    """
    progress = Progress(console)
    wanted.services(environment)
    with told_by_emulator():
        instance = emulator_instance(environment, rehearse=rehearse)
    if instance is None and environment.examples:
        raise OpsError(
            f"environments/{environment.name}.toml: {'; '.join(environment.examples)}: "
            "examples that are nobody's; put your own in their place"
        )
    if instance is not None:
        with told_by_emulator(), progress.step(f"Emulator on port {instance.port}"):
            lifecycle.up(instance, progress.detail)
    variables = lifecycle.child_environment(instance) if instance else dict(os.environ)
    connected = clients(environment, rehearse=rehearse)
    with progress.step("CDK bootstrap"):
        _bootstrap(environment, connected, variables, progress)
    going: Sequence[str] = ()
    if wanted.service is None:
        # On the emulator nobody asks before anything is lost.
        going = leftovers.services_to_go(connected, environment, accepted if instance is None else None)
    rollback: Sequence[str] = ()
    if instance is None:
        with progress.step("Swap and data safety: compare what is live with the templates"):
            _guard(environment, connected, variables, progress, accepted)
        with progress.step("Account: names that are taken, stacks that are stuck, service-linked roles"):
            readiness.ensure(connected, environment, guard.TEMPLATE.parent, progress.detail)
            rollback = readiness.rollback(connected, environment)
    session = Session(environment, connected, instance, console)
    with told_by_aws(environment.name):
        before = taking_back.versions(session)
    if instance is None:
        session.confirm("deploy it as compared", yes=yes)
    with (
        following.started_within(session, progress),
        progress.step(f"Stacks of {environment.name}: synthesize, build images, deploy"),
        stack_policy.enforced(connected, environment, accepted, progress.detail),
    ):
        if instance is not None:
            _synthesize(environment, variables, progress)
        leftovers.remove_stacks(connected, environment, list(going), progress.detail)
        try:
            deploy_stacks(environment, connected, variables, progress, rollback, wanted)
        except KeyboardInterrupt:
            raise InterruptedWork(going_on(session)) from None
    with told_by_aws(environment.name), told_by_emulator():
        deployed = deployment.read(session)
        application = deployment.endpoint(deployed, instance)
    try:
        with progress.step(f"Smoke test of {application.url}"):
            smoke.run(application, environment, detail=progress.detail)
    except SmokeTestFailed as failed:
        with told_by_aws(environment.name):
            raise taking_back.take_back(session, failed, before, progress.detail) from None
    if instance is not None:
        console.print(
            report.summary(lifecycle.ledger(instance), instance.port), soft_wrap=True, highlight=False
        )
    for stack in leftovers.stacks_left(connected, environment):
        console.print(leftovers.notice(stack, environment), soft_wrap=True, highlight=False)
    if instance is None:
        console.print(f"{environment.name} is deployed ({progress.total()}).", highlight=False)
        console.print(f"Dashboard       {deployed.output('observability', 'DashboardUrl')}", soft_wrap=True)
    else:
        what = "rehearsed" if rehearse else "deployed"
        console.print(
            f"{environment.name} is {what} on the emulator, port {instance.port} ({progress.total()}).",
            highlight=False,
        )
    console.print(f"Application     {application.url}/", soft_wrap=True)
    console.print(f"Administration  {application.url}/admin/suppliers", soft_wrap=True)


def destroy(environment: Environment, *, console: Console, yes: bool = False) -> None:
    """Remove an environment; of the emulator everything that runs, rehearsals included.

    A protected one is asked about first, unless the answer is `yes`.
    """
    progress = Progress(console)
    if not environment.emulator:
        connected = clients(environment)
        Session(environment, connected, None, console).confirm("remove all of it", yes=yes)
        logs = leftovers.find(connected, environment)
        with progress.step(f"Stacks of {environment.name}"):
            left = leftovers.stacks_left(connected, environment)
            leftovers.remove_stacks(connected, environment, left, progress.detail)
            cdk.run(
                ["destroy", "--all", "-c", f"env={environment.name}", "--force"],
                environment=os.environ,
                detail=progress.detail,
            )
        if not environment.protected:
            with progress.step("Log groups that services made by themselves"):
                leftovers.remove(connected, environment, logs, progress.detail)
        return
    for instance in _instances():
        with told_by_emulator(), progress.step(f"Emulator on port {instance.port}"):
            lifecycle.down(instance, images=True, say=progress.detail)


def going_on(session: Session) -> str:
    """What CloudFormation does on after a deployment was interrupted, and how that is ended."""
    name = session.name
    with told_by_aws(name):
        found = deployment.read(session)
    busy = [stack for stack in found.stacks.values() if stack.status.endswith("_IN_PROGRESS")]
    lines = [f"{name}: interrupted; nothing more is begun"]
    for stack in busy:
        end = ""
        if stack.status == "UPDATE_IN_PROGRESS":
            end = f"; `aws cloudformation cancel-update-stack --stack-name {stack.name}` takes it back"
        lines.append(
            f"{stack.name} ({stack.status}): CloudFormation goes on, and releases what it changes{end}"
        )
    if busy:
        lines.append(
            f"`suppliers release watch --env {name}` follows the releases; deploy again when it has ended"
        )
    return "\n".join(lines)


def clients(environment: Environment, *, rehearse: bool = False) -> Clients:
    """Clients of the environment's account, or of the emulator that stands for it."""
    with told_by_emulator():
        return clients_of(environment, emulator_instance(environment, rehearse=rehearse))


def _bootstrap(
    environment: Environment, connected: Clients, variables: Mapping[str, str], progress: Progress
) -> None:
    with told_by_aws(environment.name):
        owner = account(connected, environment)
        try:
            connected.client("cloudformation").describe_stacks(StackName=_TOOLKIT)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ValidationError":
                raise
        else:
            progress.detail("done before")
            return
    cdk.run(
        ["bootstrap", f"aws://{owner}/{environment.region}"],
        environment=variables,
        detail=progress.detail,
        synthesize=False,
    )


def _synthesize(environment: Environment, variables: Mapping[str, str], progress: Progress) -> None:
    cdk.run(
        ["synth", "-q", "-c", f"env={environment.name}", "-o", str(ASSEMBLY)],
        environment=variables,
        detail=progress.detail,
    )


def deploy_stacks(
    environment: Environment,
    connected: Clients,
    variables: Mapping[str, str],
    progress: Progress,
    rollback: Sequence[str] = (),
    wanted: Wanted = Wanted(),
) -> None:
    """Deploy what was synthesized, so that every stack holds what the others say when it is done."""

    def run(*arguments: str) -> None:
        cdk.run(
            ["deploy", "--app", str(ASSEMBLY), "--require-approval", "never", *arguments],
            environment=variables,
            detail=progress.detail,
        )

    with told_by_aws(environment.name):
        parameters = code.parameters(
            connected, environment, wanted.services(environment), wanted.ship_checkout
        )
    if wanted.service is not None:
        (service,) = wanted.services(environment)
        run(service.stack_id, "--exclusively", *parameters, *rollback)
        return
    with told_by_aws(environment.name):
        before = inputs.readers(connected, ASSEMBLY)
        leaving = inputs.dropped(connected, ASSEMBLY)
    for each in leaving:
        if each.stuck:
            raise OpsError(inputs.refusal(environment.name, each))
        progress.detail(f"{each.construct_id}: goes first, it reads what is about to be dropped")
        run(each.construct_id, "--exclusively")
    try:
        run("--all", "--concurrency", _SIDE_BY_SIDE, *parameters, *rollback)
    except OpsError as error:
        _deploy_others(environment, connected, progress, run, parameters, error)

    def stale() -> dict[str, inputs.Reader]:
        with told_by_aws(environment.name):
            return {each.name: each for each in inputs.stale(before, inputs.readers(connected, ASSEMBLY))}

    left = stale()
    for name in inputs.templates(ASSEMBLY):
        if reader := left.get(name):
            progress.detail(f"{reader.construct_id}: once more, what it reads of others has changed")
            noted = f"{reader.name}:{INPUTS}={reader.digest}"
            run(reader.construct_id, "--exclusively", "--parameters", noted)
            # Measured again, since it may leave those behind that read it.
            left = stale()


def _deploy_others(
    environment: Environment,
    connected: Clients,
    progress: Progress,
    run: Callable[..., None],
    parameters: Sequence[str],
    error: OpsError,
) -> NoReturn:
    """Deploy the services that one that failed has kept waiting: they exist, and need nothing of it that is new.

    Raises `error`, which is why it failed, with why others did.
    """
    cloudformation = connected.client("cloudformation")

    def status(part: str) -> str:
        return stacks.status(cloudformation, f"suppliers-{environment.name}-{part}")

    with told_by_aws(environment.name):
        if any(status(part) not in _DEPLOYED for part in ("network", "data", "compute")):
            raise error
        waiting = [each for each in environment.services if status(each.name) in _DEPLOYED]
    if len(waiting) == len(environment.services):
        raise error
    progress.detail(str(error))
    problems = [str(error)]
    for each in waiting:
        progress.detail(f"{each.stack_id}: on its own, as another one failed")
        try:
            run(each.stack_id, "--exclusively", *parameters)
        except OpsError as another:
            problems.append(str(another))
    raise OpsError("\n".join(problems)) from error


def _guard(
    environment: Environment,
    connected: Clients,
    variables: Mapping[str, str],
    progress: Progress,
    accepted: Sequence[str],
) -> None:
    _synthesize(environment, variables, progress)
    users_before_proxy(connected, environment)
    plans = guard.check_all(connected, environment, guard.templates(ASSEMBLY, environment.name))
    guard.refuse(*plans)
    lost = stateful.check(connected, environment, guard.TEMPLATE, accepted=accepted)
    stateful.refuse(lost, environment)
    safe = (line for plan in plans for line in guard.report(plan))
    for line in (*safe, *stateful.report(lost, environment)):
        progress.detail(line)


def users_before_proxy(connected: Clients, environment: Environment) -> None:
    """Refuse a proxy in a deployment before whose end its users do not exist.

    A target is available when the proxy signs in to it as the users in its secrets, and CloudFormation waits for that:
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_TargetHealth.html
    The users are made when the services are deployed for the first time, after the stack that holds the proxy.
    """
    if not environment.database.proxy:
        return
    cloudformation = connected.client("cloudformation")
    with told_by_aws(environment.name):
        missing = [
            each.name
            for each in environment.services
            if each.migrations
            and stacks.status(cloudformation, f"suppliers-{environment.name}-{each.name}")
            in stacks.NOTHING_DEPLOYED
        ]
    if missing:
        raise OpsError(
            f"{environment.name}: database.proxy: a proxy waits for its users, whom the first deployment of the services "
            "makes: deploy with proxy = false, then switch it on"
        )


def _instances() -> Iterator[Instance]:
    for state in sorted((ROOT / ".local").glob("emulator-*")):
        port = state.name.rpartition("-")[2]
        if port.isdigit():
            yield Instance(port=int(port))
