"""The compliance checks of a synth, each finding an error."""

from aws_cdk import App, Validations


def attach(app: App) -> None:
    """Make `app.synth()` fail on an open finding: of four packs of cdk-nag, or of cdk-preflight in its strict mode."""
    # Imported here: a plain synth needs neither, and they take longer to load than it takes to run.
    from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks
    from cdk_preflight import Preflight

    Validations.of(app).add_plugins(
        AwsSolutionsChecks(), NIST80053R5Checks(), PCIDSS321Checks(), HIPAASecurityChecks()
    )
    Preflight.apply(app, strict=True)
