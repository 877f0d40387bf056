from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import settings
from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.drill import commands
from ops.drill import report as reports
from ops.drill.commands import shared
from ops.drill.conduct import Course, Look, Schedule, conduct
from ops.drill.probes import probes
from ops.drill.report import Limits, Report
from ops.errors import OpsError
from ops.load.traffic import Answer, Request
from tests.ops import virtual_time
from tests.ops.virtual_time import Application

HOME, LIST = Request("home", "/"), Request("list", "/api/suppliers")
SCHEDULE = Schedule(rate=20, before=10, after=10, give_up=60)


@dataclass
class Outage:
    """A failure that is made at 10 s and lasts; requests fail from one moment to another."""

    lasts: float = 5.0
    making: float = 0.0
    fails: tuple[float, float] = (0.0, 0.0)
    name: str = "outage"
    steps: Sequence[str] = ("pull the plug",)
    meaning: str = "Nothing in particular."
    facts: Mapping[str, str] = field(default_factory=lambda: {"plug": "the red one"})
    struck: float | None = None

    async def strike(self) -> None:
        await asyncio.sleep(self.making)
        self.struck = asyncio.get_running_loop().time()

    async def look(self) -> Look:
        assert self.struck is not None, "looked at before the failure was made"
        back = asyncio.get_running_loop().time() - self.struck >= self.lasts
        return Look("customer 2/2" if back else "customer 1/2", recovered=back)

    def failure(self, now: float, request: Request) -> str | None:
        return "HTTP 503" if self.fails[0] <= now < self.fails[1] and request is LIST else None


def conducted(outage: Outage, schedule: Schedule = SCHEDULE) -> Course:
    application = Application(failure=outage.failure)
    return virtual_time.run(
        conduct(application, [HOME, LIST], schedule, strike=outage.strike, look=outage.look)
    )


def reported(outage: Outage, limits: Limits = Limits(), schedule: Schedule = SCHEDULE) -> Report:  # noqa: B008
    class Prepared(Outage):
        def strike(self) -> None:  # type: ignore[override]
            raise AssertionError

        look = strike  # type: ignore[assignment]

    return reports.report(
        Prepared(),  # type: ignore[arg-type]
        conducted(outage, schedule),
        [HOME, LIST],
        schedule,
        limits,
        environment="dev",
        place="AWS, us-east-1",
        started="2026-11-02 10:00 UTC",
        command="suppliers drill outage",
    )


def test_the_time_to_full_strength_counts_from_the_failure() -> None:
    course = conducted(Outage(lasts=5))
    assert course.struck == pytest.approx(10)
    assert course.recovery_seconds == pytest.approx(5)


def test_full_strength_has_to_last() -> None:
    class Flapping(Outage):
        async def look(self) -> Look:
            now = asyncio.get_running_loop().time()
            return Look("", recovered=13 <= now < 15 or now >= 30)

    course = conducted(Flapping())
    assert course.recovery_seconds == pytest.approx(20)
    assert course.ended >= 40, "the time after is that of the last recovery"


def test_a_recovery_that_does_not_come_is_given_up() -> None:
    found = reported(Outage(lasts=1e9))
    assert found.recovery_seconds is None
    assert not found.held, "full strength is demanded without any limit"
    assert "not at full strength after 60 s" in reports.markdown(found)


def test_the_probe_is_steady_before_during_and_after() -> None:
    found = reported(Outage(lasts=5))
    whole = [window for window in found.seconds if -9 <= window.second <= 13]
    assert [window.requests for window in whole] == [20] * len(whole)


def test_nothing_is_done_where_requests_fail_before() -> None:
    outage = Outage(fails=(3, 4))
    with pytest.raises(
        OpsError, match="requests fail already before the drill \\(HTTP 503\\): nothing was done"
    ):
        conducted(outage)
    assert outage.struck is None


def test_a_failure_that_cannot_be_made_ends_the_probe() -> None:
    class Refused(Outage):
        async def strike(self) -> None:
            raise OpsError("prod: you may not do ecs:StopTask")

    with pytest.raises(OpsError, match="ecs:StopTask"):
        conducted(Refused())


def test_a_look_that_fails_is_told_and_is_no_recovery() -> None:
    class Blind(Outage):
        async def look(self) -> Look:
            if asyncio.get_running_loop().time() < 20:
                raise OpsError("dev: AWS throttles DescribeTasks")
            return Look("customer 2/2", recovered=True)

    course = conducted(Blind())
    assert [event.text for event in course.events] == [
        "the failure is made",
        "not seen: dev: AWS throttles DescribeTasks",
        "customer 2/2",
        "full strength",
    ]
    assert course.recovery_seconds == pytest.approx(10)


def test_the_report_counts_what_users_noticed() -> None:
    found = reported(Outage(lasts=5, fails=(10, 14)))
    # The list is every second one of 20 requests a second.
    assert (found.failed, found.failures) == (40, {"HTTP 503": 40})
    assert found.error_seconds == 4
    assert found.longest_gap_seconds == pytest.approx(4, abs=0.1)
    home, rows = found.probes
    assert (home.failed, home.longest_gap_seconds, rows.failed) == (0, 0.0, 40)
    assert home.requests + rows.requests == found.requests
    assert found.failed_percent == round(100 * 40 / found.requests, 2)
    assert home.milliseconds_before["p50"] == home.milliseconds_after["p50"] == 10.0


def test_failures_while_the_failure_is_being_made_count() -> None:
    found = reported(Outage(making=20, fails=(12, 13)))
    assert (found.failed, found.error_seconds, found.making_seconds) == (10, 1, 20.0)
    assert found.recovery_seconds == pytest.approx(5)


@pytest.mark.parametrize(
    ("limits", "held"),
    [
        (Limits(), True),
        (Limits(failed_percent=20, error_seconds=4, recovery_seconds=5), True),
        (Limits(failed_percent=1), False),
        (Limits(error_seconds=3), False),
        (Limits(recovery_seconds=4), False),
    ],
)
def test_limits_hold_or_fail_the_drill(limits: Limits, held: bool) -> None:
    found = reported(Outage(lasts=5, fails=(10, 14)), limits)
    assert found.held is held
    text = reports.markdown(found)
    assert ("passed" if held else "FAILED") in text.splitlines()[0]
    assert ("| NO |" in text) is not held


def test_the_report_for_people_says_what_when_and_how_it_went() -> None:
    text = reports.markdown(reported(Outage(lasts=5, fails=(10, 14)), Limits(recovery_seconds=60)))
    for line in (
        "# Drill outage of dev: passed",
        "- plug: the red one",
        "| seconds with errors | 4 |",
        "| time to full strength | 5 s |",
        "| failed: HTTP 503 | 40 |",
        "| +0.0 | from here 40 of 80 requests failed, for 4 s |",
        "| +5.0 | full strength |",
        "| full strength after | 5 s | 60 s | yes |",
    ):
        assert line in text.splitlines(), text


def test_the_report_for_programs_is_json() -> None:
    document = json.loads(json.dumps(reports.document(reported(Outage()))))
    assert document["held"] is True
    assert document["schedule"]["rate"] == 20
    assert document["verdicts"][0]["what"] == "full strength after"


@pytest.mark.parametrize("file", ["report.txt", "report", "nowhere/report.md"])
def test_a_report_that_cannot_be_written_is_refused_before_the_drill(file: str, tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="--report"):
        shared(report=[tmp_path / file])


@dataclass
class Directory:
    """The application's interface as the probe needs it; the administration may be closed, deletion may fail."""

    closed: bool = False
    away: int = 0
    suppliers: dict[int, object] = field(default_factory=lambda: {3: {"id": 3}})

    async def send(self, request: Request) -> Answer:
        if request.path.startswith("/admin"):
            return self._administer(request)
        items = [{"id": number} for number in self.suppliers]
        return Answer(200, json.dumps({"items": items, "stale": False}).encode())

    def _administer(self, request: Request) -> Answer:
        if self.closed:
            return Answer(403, failure="HTTP 403")
        if request.method == "POST":
            self.suppliers[9] = request.json
            return Answer(201, b'{"id": 9}')
        if request.method == "DELETE":
            if self.away:
                self.away -= 1
                return Answer(503, failure="HTTP 503")
            self.suppliers.pop(int(request.path.rpartition("/")[2]))
            return Answer(204)
        return Answer(200)


def probed(directory: Directory, *, writes: bool = True) -> tuple[list[str], list[str]]:
    said: list[str] = []

    async def names() -> list[str]:
        async with probes(directory, "http://x", writes=writes, say=said.append) as requests:
            return [f"{request.name} {request.method} {request.path}" for request in requests]

    return virtual_time.run(names()), said


READS = ["home GET /", "list GET /api/suppliers", "detail GET /api/suppliers/3"]


def test_the_probe_reads_and_changes_a_supplier_of_its_own_that_is_gone_afterwards() -> None:
    directory = Directory()
    assert probed(directory) == ([*READS, "write PUT /admin/api/suppliers/9"], [])
    assert list(directory.suppliers) == [3]


def test_the_supplier_is_removed_even_where_the_database_is_away_for_a_while() -> None:
    directory = Directory(away=5)
    probed(directory)
    assert list(directory.suppliers) == [3]


def test_a_closed_administration_is_not_probed_and_that_is_said() -> None:
    requests, said = probed(Directory(closed=True))
    assert requests == READS
    assert said == ["writes are not probed: the administration is closed to this machine (admin_cidrs)"]


def test_without_writes_nothing_is_changed() -> None:
    directory = Directory(closed=True)
    assert probed(directory, writes=False) == (READS, [])


def test_an_empty_directory_is_probed_without_a_supplier() -> None:
    assert probed(Directory(suppliers={}), writes=False)[0] == READS[:2]


def test_a_second_drill_on_an_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    dev, prod = (Session(settings.load(name), Clients("us-east-1")) for name in ("dev", "prod"))
    with commands._alone(dev):
        with commands._alone(prod):
            pass
        with (
            pytest.raises(OpsError, match=rf"dev: another drill is at it \(pid {os.getpid()}, since "),
            commands._alone(dev),
        ):
            pytest.fail("both run")
    with commands._alone(dev):
        pass
