"""The checks of a synth: compliance, each finding an error, and what CloudFormation takes."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from aws_cdk import App, Validations

from settings.facts.quotas import OUTPUTS_PER_STACK, RESOURCES_PER_STACK, TEMPLATE_BYTES


def attach(app: App) -> None:
    """Make `app.synth()` fail on an open finding: of four packs of cdk-nag, or of cdk-preflight in its strict mode."""
    # Imported here: a plain synth needs neither, and they take longer to load than it takes to run.
    from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks
    from cdk_preflight import Preflight

    Validations.of(app).add_plugins(
        AwsSolutionsChecks(), NIST80053R5Checks(), PCIDSS321Checks(), HIPAASecurityChecks()
    )
    Preflight.apply(app, strict=True)


def synth(app: App) -> None:
    """`app.synth()`, but a template that is too large for CloudFormation ends the program with a line."""
    failure: RuntimeError | None = None
    try:
        app.synth()
    except RuntimeError as error:
        failure = error
    problems = [*_refused(str(failure)), *too_large(Path(app.outdir))]
    if problems:
        sys.exit("\n".join(problems))
    if failure is not None:
        raise failure


def too_large(assembly: Path) -> Iterator[str]:
    """A line for each limit of CloudFormation that a template of an assembly exceeds."""
    for file in sorted(assembly.glob("*.template.json")):
        stack, content = file.name.partition(".")[0], file.read_bytes()
        template = json.loads(content)
        for what, count, allowed in (
            ("resources", len(template.get("Resources", {})), RESOURCES_PER_STACK),
            ("outputs", len(template.get("Outputs", {})), OUTPUTS_PER_STACK),
            ("bytes", len(content), TEMPLATE_BYTES),
        ):
            if count > allowed:
                yield _too_large(stack, what, count, allowed)


def _refused(message: str) -> Iterator[str]:
    """CDK writes no template with more resources."""
    found = re.search(r"Number of resources in stack '(\w+)': (\d+) is greater", message)
    if found:
        yield _too_large(found[1], "resources", int(found[2]), RESOURCES_PER_STACK)


def _too_large(stack: str, what: str, count: int, allowed: int) -> str:
    return (
        f"{stack}: the template has {count} {what}, CloudFormation allows {allowed}; split the services over several "
        "environments (docs/scale.md)"
    )
