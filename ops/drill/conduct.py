"""Conducting a drill: a steady probe before, during and after the failure, and a look at the platform beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ops.errors import OpsError
from ops.load import traffic
from ops.load.measure import totals
from ops.load.traffic import Outcome, Request, Sender


@dataclass(frozen=True)
class Look:
    """How the platform is at one moment, in a few words, and whether it is as it should be."""

    text: str
    recovered: bool


class Drill(Protocol):
    """A failure that can be made. `facts` grow while it is made; `steps` say before what will be done."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> Sequence[str]: ...
    @property
    def meaning(self) -> str:
        """What the drill stands for, and what it does not show."""
        ...

    @property
    def facts(self) -> Mapping[str, str]: ...
    def strike(self) -> None:
        """Make the failure; blocks until it is made."""
        ...

    def look(self) -> Look:
        """How the platform is now."""
        ...


@dataclass(frozen=True)
class Schedule:
    """The probe's requests a second, all kinds together, and in seconds: the quiet time before the failure and
    after the recovery, how long a recovery is waited for, and how often the platform is looked at."""

    rate: float = 20.0
    before: float = 10.0
    after: float = 10.0
    give_up: float = 600.0
    look_every: float = 1.0


@dataclass(frozen=True)
class Event:
    """Something that was seen, in seconds from the beginning."""

    at: float
    text: str


@dataclass
class Course:
    """What happened: the failure was made from `began` to `struck`, and all was well again at `recovered`.

    Moments are in seconds from the beginning; `recovered` is None where that was not seen.
    """

    outcome: Outcome = field(default_factory=Outcome)
    events: list[Event] = field(default_factory=list)
    began: float = 0.0
    struck: float = 0.0
    recovered: float | None = None
    ended: float = 0.0

    @property
    def recovery_seconds(self) -> float | None:
        """From the moment the failure was made to full strength that lasted."""
        return None if self.recovered is None else self.recovered - self.struck


async def conduct(
    sender: Sender,
    requests: Sequence[Request],
    schedule: Schedule,
    *,
    strike: Callable[[], Awaitable[None]],
    look: Callable[[], Awaitable[Look]],
    say: Callable[[str], None] = lambda text: None,
) -> Course:
    """Probe, make the failure, and go on until full strength has lasted for the time after, or hope is lost.

    Raises `OpsError` without making the failure where requests fail before it: they would be taken for its effect.
    """
    loop = asyncio.get_running_loop()
    begin, course, enough = loop.time(), Course(), asyncio.Event()

    def now() -> float:
        return loop.time() - begin

    def note(text: str) -> None:
        course.events.append(Event(now(), text))
        say(text)

    probe = asyncio.create_task(
        traffic.at_rate(
            sender,
            lambda number: requests[number % len(requests)],
            course.outcome,
            rate=schedule.rate,
            stop=lambda due, number: enough.is_set(),
            begin=begin,
        )
    )
    try:
        await asyncio.sleep(schedule.before)
        if course.outcome.failed:
            kinds = ", ".join(totals(course.outcome.series.values()))
            raise OpsError(
                f"requests fail already before the drill ({kinds}): nothing was done; see `suppliers status`"
            )
        course.began = now()
        await strike()
        course.struck = now()
        note("the failure is made")
        seen = ""
        while True:
            found = await _look(look)
            if found.text != seen:
                note(found.text)
                seen = found.text
            if not found.recovered:
                course.recovered = None
                if now() - course.struck >= schedule.give_up:
                    note(f"not at full strength after {schedule.give_up:g} s: no longer waited for")
                    break
            elif course.recovered is None:
                course.recovered = now()
                note("full strength")
            elif now() - course.recovered >= schedule.after:
                break
            await asyncio.sleep(schedule.look_every)
    finally:
        enough.set()
        await probe
        course.ended = now()
    return course


async def _look(look: Callable[[], Awaitable[Look]]) -> Look:
    try:
        return await look()
    except OpsError as error:
        # The probe measures on; whether all is well is not known at the moment.
        return Look(f"not seen: {error}", recovered=False)
