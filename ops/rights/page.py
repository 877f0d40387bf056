"""docs/rights.md: what each role is granted, and why what the emulator's tests do not use is there."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

from ops.rights.grants import Grant

UNUSED = Path(__file__).with_name("unused.toml")
_FIRST = """# Rights

Who may do what to what, by the templates. `suppliers rights --env ENV` shows the same of what is deployed, and when each was
last used. This page is generated: `make snapshots`.

The emulator decides requests with a role's credentials as IAM does, and notes which statement let each through. Its tests
deploy `local` and rehearse `prod`, release in both, and then look: a right is needed there (without its statement
something would have been denied), or it is listed here with the reason why it is granted. What is neither is no longer granted:
the tests fail (`tests/e2e/test_deploy.py`). The same reason holds for `dev`, whose roles are those of `prod`.
"""


@dataclass(frozen=True)
class Unused:
    """Rights that nothing on the emulator uses, by patterns of role names, actions and policies, and why they are granted.

    `environments` are those in which they are not used; all without one.
    """

    roles: tuple[str, ...]
    actions: tuple[str, ...]
    reason: str
    policies: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ()

    def lists(self, grant: Grant, environment: str) -> bool:
        """Whether it gives the reason of a grant."""
        action = grant.policy.rpartition("/")[2] if grant.managed_by_aws else grant.action
        return (
            (not self.environments or environment in self.environments)
            and any(fnmatchcase(grant.role.name, each) for each in self.roles)
            and any(fnmatchcase(action, each) for each in self.actions)
            and any(fnmatchcase(grant.policy, each) for each in self.policies)
        )


def unused(file: Path = UNUSED) -> tuple[Unused, ...]:
    """What is granted though no test uses it, from its file."""
    return tuple(
        Unused(
            roles=tuple(each["roles"]),
            actions=tuple(each["actions"]),
            reason=each["reason"],
            policies=tuple(each.get("policies", ("*",))),
            environments=tuple(each.get("environments", ())),
        )
        for each in tomllib.loads(file.read_text(encoding="utf-8"))["unused"]
    )


def reason(grant: Grant, environment: str, listed: Sequence[Unused]) -> str | None:
    """Why a grant is there that nothing uses, or None where it has to be used."""
    return next((each.reason for each in listed if each.lists(grant, environment)), None)


def page(found: Mapping[str, Sequence[Grant]], listed: Sequence[Unused]) -> str:
    """The page for environments."""
    lines = [_FIRST]
    for environment, granted in found.items():
        lines += _section(environment, granted, listed)
    return "\n".join(lines) + "\n"


def _section(environment: str, granted: Sequence[Grant], listed: Sequence[Unused]) -> Iterator[str]:
    reasons = {grant: reason(grant, environment, listed) for grant in granted}
    idle = [grant for grant in granted if reasons[grant]]
    yield f"## {environment}\n"
    yield f"{len(granted)} rights; {len(idle)} of them ({len(idle) / len(granted):.0%}) are not used on the emulator.\n"
    for _, of_role in groupby(granted, key=lambda grant: grant.role):
        rights = list(of_role)
        yield f"### {environment}: {rights[0].role.name}\n"
        yield f"Taken by {', '.join(f'`{each}`' for each in rights[0].role.trusted)}.\n"
        yield "| may | on | if | not used here, because |"
        yield "|---|---|---|---|"
        for (on, condition, why), alike in groupby(
            rights, key=lambda grant: (grant.resources, grant.conditions, reasons[grant])
        ):
            may = ", ".join(_action(grant) for grant in alike)
            yield f"| {may} | {_code(on)} | {_code(condition)} | {why or ''} |"
        yield ""


def _action(grant: Grant) -> str:
    if grant.managed_by_aws:
        return f"AWS's policy `{grant.policy.rpartition('/')[2]}`"
    return f"{'' if grant.allows else 'never '}`{grant.action}`"


def _code(texts: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in texts)
