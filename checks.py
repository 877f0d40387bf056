"""The compliance checks of a synth, each finding an error."""

from aws_cdk import App, Validations


def attach(app: App) -> None:
    """Make `app.synth()` fail on an open finding of AwsSolutions or of cdk-preflight in its strict mode."""
    # Imported here: a plain synth needs neither, and they take longer to load than it takes to run.
    from cdk_nag import AwsSolutionsChecks
    from cdk_preflight import Preflight

    Validations.of(app).add_plugins(AwsSolutionsChecks())
    Preflight.apply(app, strict=True)
