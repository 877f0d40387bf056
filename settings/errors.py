"""How wrong settings are told."""

from __future__ import annotations

# No file of settings comes near; more is a mistake that would take long to be told.
_FILE_BYTES = 256 * 1024
_PROBLEMS_TOLD = 50
_LINE_CHARACTERS = 600


class SettingsError(Exception):
    """Wrong settings, said in one readable line a problem, whatever the files hold; at most 50 of them."""

    def __init__(self, *problems: str) -> None:
        told = tuple(_line(problem) for problem in problems[:_PROBLEMS_TOLD])
        if len(problems) > _PROBLEMS_TOLD:
            told += (f"and {len(problems) - _PROBLEMS_TOLD} more",)
        super().__init__("\n".join(told))
        self.problems = problems


class UnknownEnvironment(SettingsError):
    """There is no file of that name in environments/."""


def _line(problem: str) -> str:
    printable = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in problem
    )
    if len(printable) <= _LINE_CHARACTERS:
        return printable
    half = _LINE_CHARACTERS // 2
    return f"{printable[:half]} ... {printable[-half:]}"
