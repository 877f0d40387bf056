"""`[scaling]` of a service: how many tasks it has, by load and by the clock."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from platform_constructs.common.cron_expression import CronExpression
from settings.values import Section


def _hours(value: str) -> str:
    time = r"([01]\d|2[0-3]):[0-5]\d"
    if not re.fullmatch(rf"{time}-{time}", value) or value[:5] == value[6:]:
        raise ValueError(f"{value!r} are no hours of a day; an example is 09:00-17:00")
    return value


def _cron(value: str) -> str:
    return str(CronExpression.parse(value))


def _time_zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; examples are UTC and Europe/Berlin") from None


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[str, ...] = get_args(Weekday)
_MINUTES_PER_DAY = 24 * 60
_MINUTES_PER_WEEK = 7 * _MINUTES_PER_DAY


class Bounds(Section):
    """Task counts that hold from the minutes on that a cron expression names."""

    name: str
    cron: str
    time_zone: str
    min_tasks: int
    max_tasks: int


class Schedule(Section):
    """Other task counts by the clock: within hours of weekdays, or from the minutes of a cron expression on."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    weekdays: tuple[Weekday, ...] = Field(default=(), max_length=7, strict=False)
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    cron: Annotated[str, AfterValidator(_cron)] | None = None
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    min_tasks: int = Field(ge=1, le=1000)
    max_tasks: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) must not be above max_tasks ({self.max_tasks})")
        if (self.cron is None) != bool(self.weekdays and self.hours) or (
            self.cron is not None and (self.weekdays or self.hours)
        ):
            raise ValueError(
                "say either weekdays and hours, such as ['mon', 'fri'] and '09:00-17:00', or cron, "
                "such as '0 9 ? * MON-FRI *'"
            )
        return self

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each window, in minutes since Monday 00:00; the end may lie in the next week."""
        if self.hours is None:
            return ()
        start, end = (int(each[:2]) * 60 + int(each[3:]) for each in self.hours.split("-"))
        length = (end - start) % _MINUTES_PER_DAY
        starts = sorted(_WEEK.index(day) * _MINUTES_PER_DAY + start for day in self.weekdays)
        return tuple((each, each + length) for each in starts)

    def bounds(self, otherwise: Scaling) -> tuple[Bounds, ...]:
        """The moments that change the task counts; a window ends with those that hold otherwise."""

        def moment(name: str, cron: str, counts: Schedule | Scaling) -> Bounds:
            return Bounds(
                name=name,
                cron=cron,
                time_zone=self.time_zone,
                min_tasks=counts.min_tasks,
                max_tasks=counts.max_tasks,
            )

        if self.cron is not None:
            return (moment(self.name, self.cron, self),)
        starts, ends = zip(*self.windows, strict=True)
        return (
            moment(f"{self.name}-start", _weekly(starts), self),
            moment(f"{self.name}-end", _weekly(ends), otherwise),
        )


def _weekly(minutes: tuple[int, ...]) -> str:
    days = ",".join(_WEEK[each % _MINUTES_PER_WEEK // _MINUTES_PER_DAY].upper() for each in minutes)
    hour, minute = divmod(minutes[0] % _MINUTES_PER_DAY, 60)
    return f"{minute} {hour} ? * {days} *"


class Scaling(Section):
    """Task counts and the levels (CPU and memory in percent of the reservation) that change them."""

    min_tasks: int = Field(default=2, ge=1, le=1000)
    max_tasks: int = Field(default=4, ge=1, le=1000)
    target_cpu_percent: int = Field(default=50, ge=10, le=90)
    step_out_cpu_percent: int = Field(default=70, ge=20, le=95)
    step_in_cpu_percent: int = Field(default=30, ge=5, le=80)
    target_memory_percent: int | None = Field(default=None, ge=10, le=95)
    target_requests_per_target: int | None = Field(default=None, ge=1, le=10_000_000)
    cooldown_seconds: int = Field(default=300, ge=0, le=3600)
    schedules: tuple[Schedule, ...] = Field(default=(), max_length=20, strict=False)

    @property
    def bounds(self) -> tuple[Bounds, ...]:
        """The moments of all schedules."""
        return tuple(each for schedule in self.schedules for each in schedule.bounds(self))

    @property
    def fewest_tasks(self) -> int:
        """The lowest minimum that ever holds."""
        return min([self.min_tasks, *(each.min_tasks for each in self.schedules)])

    @property
    def most_tasks(self) -> int:
        """The highest maximum that ever holds."""
        return max([self.max_tasks, *(each.max_tasks for each in self.schedules)])

    @model_validator(mode="before")
    @classmethod
    def _less_for_fewer_tasks(cls, scaling: Any) -> Any:
        if not isinstance(scaling, dict) or "step_in_cpu_percent" in scaling:
            return scaling
        schedules = scaling.get("schedules", [])
        minimums = [each.get("min_tasks", 2) for each in (scaling, *schedules) if isinstance(each, dict)]
        target = scaling.get("target_cpu_percent", 50)
        if not all(isinstance(each, int) and each > 0 for each in (*minimums, target)):
            return scaling
        return {**scaling, "step_in_cpu_percent": min(30, _highest_step_in(target, min(minimums)))}

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) must not be above max_tasks ({self.max_tasks})")
        if not self.step_in_cpu_percent < self.target_cpu_percent < self.step_out_cpu_percent:
            raise ValueError(
                "step_in_cpu_percent < target_cpu_percent < step_out_cpu_percent must hold, not "
                f"{self.step_in_cpu_percent}, {self.target_cpu_percent}, {self.step_out_cpu_percent}"
            )
        fewest = self.fewest_tasks
        highest = _highest_step_in(self.target_cpu_percent, fewest)
        if self.step_in_cpu_percent > highest:
            raise ValueError(
                f"step_in_cpu_percent ({self.step_in_cpu_percent}) must be at most {highest}: else one task "
                f"less than {fewest + 1} lifts the others above target_cpu_percent "
                f"({self.target_cpu_percent}), which brings it back"
            )
        return self

    @model_validator(mode="after")
    def _schedules_apart(self) -> Self:
        names = [each.name for each in self.schedules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"schedules: the name {name!r} is taken twice; give each one its own")
        weekly = [each for each in self.schedules if each.windows]
        zones = sorted({each.time_zone for each in weekly})
        if len(zones) > 1:
            raise ValueError(f"schedules: those with weekdays share one time_zone, not {', '.join(zones)}")
        windows = sorted((*window, each.name) for each in weekly for window in each.windows)
        following = windows[1:] + [(start + _MINUTES_PER_WEEK, end, name) for start, end, name in windows[:1]]
        for (_, end, name), (start, _, other) in zip(windows, following, strict=True):
            if start <= end:
                raise ValueError(
                    f"schedules: the hours of {name} and {other} overlap or touch; leave a minute between "
                    "them, or use cron for counts that follow each other"
                )
        return self


def _highest_step_in(target: int, fewest: int) -> int:
    """The highest level at which `fewest` tasks can do, within the target, what one more does now."""
    return target * fewest // (fewest + 1)
