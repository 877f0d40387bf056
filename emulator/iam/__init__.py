"""Who may do what: AWS Identity and Access Management, evaluated as AWS documents it.

Everything here is pure: `policies` reads documents, `evaluation` decides, `requests` says which actions a request is,
`reference` is what AWS publishes about its actions, `record` keeps what was decided. What the running emulator makes of
it is in `emulator.bridges.iam`.
"""

from __future__ import annotations

from collections.abc import Mapping

from emulator.errors import EmulatorError

VARIABLE = "EMULATOR_IAM"


def is_enforced(environment: Mapping[str, str]) -> bool:
    """Whether what policies do not allow is refused; `off` lets it through, for debugging, and records it all the same.

    Raises `EmulatorError` for any other value than `on` and `off`.
    """
    value = environment.get(VARIABLE) or "on"
    if value not in ("on", "off"):
        raise EmulatorError(f"{VARIABLE}={value}: `on` or `off` is needed")
    return value == "on"
