"""What a user is told when something cannot be done, and the exit statuses of the command line."""

from __future__ import annotations

# 0: done. 1: something is wrong or was refused: settings, credentials, the state of the environment.
# 2: the command line itself is wrong. 3: all was looked at, and something does not hold.
# 130: interrupted by Ctrl-C, as shells say it.
# Commands that run another program (`exec`, `migrate`, `task run`) pass its exit status on.
WRONG = 1
WRONG_USAGE = 2
DOES_NOT_HOLD = 3
INTERRUPTED = 130


class OpsError(Exception):
    """One line for the user: what is wrong, where, and what helps."""


class WrongUsage(OpsError):
    """A value on the command line that is none of those allowed, told as typer tells others: exit status 2."""


class InterruptedWork(OpsError):
    """Ctrl-C, while something goes on that the command has only started: what it is, and how to end it."""
