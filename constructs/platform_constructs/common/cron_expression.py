from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXAMPLE = "0 9 ? * MON-FRI *"


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()

    def values(self, text: str) -> frozenset[int]:
        """The numbers that a field allows; raises `ValueError` with the field's name."""
        allowed: set[int] = set()
        for part in text.split(","):
            span, _, step = part.partition("/")
            first, _, last = span.partition("-")
            start, end = (
                (self.low, self.high) if span in "*?" else (self._number(first), self._number(last or first))
            )
            if step and not last:
                end = self.high
            if not start <= end or (step and not (step.isdecimal() and int(step) > 0)):
                raise ValueError(f"{self.name} {part!r} is no range")
            allowed.update(range(start, end + 1, int(step or 1)))
        return frozenset(allowed)

    def _number(self, text: str) -> int:
        if text.upper() in self.names:
            return self.low + self.names.index(text.upper())
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name} {text!r} is not one of {self.low} to {self.high}{names}")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _WEEKDAYS),
    _Field("year", 1970, 2199),
)


@dataclass(frozen=True)
class CronExpression:
    """Minutes as AWS writes them: minute, hour, day of month, month, day of week (1 is Sunday), year.

    One of the two days is `?`. Lists, ranges, steps and names are known; `L`, `W` and `#` are not.
    https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
    """

    text: str
    _allowed: Mapping[str, frozenset[int]]

    @classmethod
    def parse(cls, text: str) -> CronExpression:
        """Read the six fields; raises `ValueError` with one line that says what is wrong."""
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ValueError(f"{text!r} has {len(parts)} fields, not 6; an example is {EXAMPLE!r}")
        if [parts[2], parts[4]].count("?") != 1 or "?" in (parts[0], parts[1], parts[3], parts[5]):
            raise ValueError(
                f"{text!r} needs '?' as day of month or as day of week; an example is {EXAMPLE!r}"
            )
        try:
            return cls(
                text, {field.name: field.values(part) for field, part in zip(_FIELDS, parts, strict=True)}
            )
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}; an example is {EXAMPLE!r}") from None

    def matches(self, moment: datetime) -> bool:
        """Whether the minute of `moment`, in its own time zone, is one of them."""
        values = (
            moment.minute,
            moment.hour,
            moment.day,
            moment.month,
            moment.isoweekday() % 7 + 1,
            moment.year,
        )
        return all(value in self._allowed[field.name] for field, value in zip(_FIELDS, values, strict=True))

    def __str__(self) -> str:
        return self.text
