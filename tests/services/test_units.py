"""Parts that need no server: cache, last-known lists, settings, logs, search words."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import bindparam, select

from directory.domain.listing import Listing, Page
from directory.domain.model import Entry
from directory.domain.suppliers import SUPPLIERS
from directory.logs import Journal, Output, exception_text
from directory.settings import Settings, SettingsError
from directory.storage.cache import SingleFlight
from directory.storage.database import DatabaseAway, Statement
from directory.storage.lookup import Lookups
from directory.web.context import LastKnown
from directory.web.problems import Problem
from directory.web.routes import Routes
from tests.services.harness import SERVICES


def test_a_value_is_made_once_for_all_who_want_it_at_the_same_time() -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0.02)
        return made

    async def run() -> list[int]:
        cache: SingleFlight[str, int] = SingleFlight(seconds=10)
        return await asyncio.gather(*(cache.get("k", make) for _ in range(50)))

    assert asyncio.run(run()) == [1] * 50


def test_a_value_is_no_older_than_its_time_counted_from_before_it_was_read() -> None:
    async def run() -> None:
        cache: SingleFlight[str, float] = SingleFlight(seconds=0.2)

        async def make() -> float:
            started = time.monotonic()
            await asyncio.sleep(0.15)
            return started

        await cache.get("k", make)
        assert cache.fresh("k") is not None
        await asyncio.sleep(0.08)
        assert cache.fresh("k") is None

    asyncio.run(run())


def test_an_error_is_not_kept_and_reaches_everybody_who_waits() -> None:
    async def run() -> None:
        cache: SingleFlight[str, int] = SingleFlight(seconds=10)

        async def fail() -> int:
            await asyncio.sleep(0)
            raise ValueError

        results = await asyncio.gather(*(cache.get("k", fail) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 3

        async def succeed() -> int:
            return 7

        assert await cache.get("k", succeed) == 7

    asyncio.run(run())


def test_a_reader_who_leaves_does_not_cancel_the_value_for_the_others() -> None:
    async def run() -> None:
        cache: SingleFlight[str, int] = SingleFlight(seconds=10)

        async def make() -> int:
            await asyncio.sleep(0.05)
            return 1

        first = asyncio.create_task(cache.get("k", make))
        second = asyncio.create_task(cache.get("k", make))
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == 1

    asyncio.run(run())


def test_the_cache_does_not_grow_without_bound() -> None:
    async def run() -> None:
        cache: SingleFlight[int, int] = SingleFlight(seconds=10, most=3)

        async def make() -> int:
            return 1

        for key in range(10):
            await cache.get(key, make)
        assert [key for key in range(10) if cache.fresh(key)] == [7, 8, 9]

    asyncio.run(run())


def test_the_plain_list_is_never_forgotten() -> None:
    known = LastKnown(most=4)
    known.remember(Listing(Page(), (), 0, True, False, 0))
    for number in range(20):
        known.remember(Listing(Page(q=f"q{number}"), (), 0, True, False, 0))
    assert known.get(Page()) is not None
    assert known.get(Page(q="q19")) is not None
    assert known.get(Page(q="q0")) is None


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "DB_HOST, DB_NAME, DB_SECRET_ARN"),
        ({"DB_HOST": "h", "DB_NAME": "n"}, "DB_SECRET_ARN"),
        ({"DATABASE_URL": "sqlite://", "PORT": "x"}, "PORT: 'x'"),
        ({"DATABASE_URL": "sqlite://", "PORT": "70000"}, "PORT: '70000'"),
        ({"DATABASE_URL": "sqlite://", "DB_TLS_CA": "/none"}, "DB_TLS_CA"),
        ({"DATABASE_URL": "sqlite://", "DB_PROXY": "yes"}, "DB_PROXY: 'yes' is neither true nor false"),
        ({"DATABASE_URL": "sqlite://", "PHONE_REGION": "USA"}, "PHONE_REGION: 'USA' is no country"),
        ({"DATABASE_URL": "sqlite://", "PHONE_REGION": "XX"}, "PHONE_REGION: 'XX' is no country"),
        ({"DATABASE_URL": "sqlite://", "PUBLIC_SCHEME": "ftp"}, "PUBLIC_SCHEME: 'ftp'"),
        ({"DATABASE_URL": "sqlite://", "SHARED_CACHE_SECONDS": "-1"}, "SHARED_CACHE_SECONDS: '-1'"),
    ],
)
def test_a_wrong_setting_is_one_readable_line(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)) as error:
        Settings.from_environment(environment, service="x")
    assert "\n" not in str(error.value)


def test_a_service_with_wrong_settings_ends_with_that_line_and_no_traceback() -> None:
    import subprocess
    import sys

    path = os.pathsep.join(str(SERVICES / part) for part in ("shared", "customer"))
    done = subprocess.run(
        [sys.executable, "-m", "customer"],
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("customer: set DATABASE_URL, or DB_HOST")
    assert done.stderr.count("\n") == 1


def test_two_parts_of_a_process_may_not_claim_one_address() -> None:
    async def endpoint(request: object) -> None: ...

    first, second = Routes(), Routes()
    first.add("GET", "/x", endpoint)  # type: ignore[arg-type]
    second.add("GET", "/x", endpoint)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two endpoints for GET /x"):
        first.update(second)


@pytest.mark.parametrize("path", ["/x/abc", "/x/", "/x/1/2", "/x/99999999999", "/x/-1", "/x/١"])
def test_an_id_in_an_address_is_a_plain_number(path: str) -> None:
    async def endpoint(request: object) -> None: ...

    routes = Routes()
    routes.add("GET", "/x/{id}", endpoint)  # type: ignore[arg-type]
    with pytest.raises(Problem) as problem:
        routes.find({"path": path, "method": "GET"})
    assert problem.value.status == 404


def journal_lines(write) -> list[dict]:  # type: ignore[no-untyped-def, type-arg]
    read_end, write_end = os.pipe()
    journal = Journal("customer", "test", descriptor=write_end)
    write(journal)
    journal.close()
    os.close(write_end)
    with os.fdopen(read_end) as output:
        return [json.loads(line) for line in output]


def test_a_request_is_one_line_and_metrics_follow_in_the_embedded_format() -> None:
    def write(journal: Journal) -> None:
        journal.request(method="GET", route="/suppliers", status=200, seconds=0.0123, trace="Root=1-a")
        journal.request(method="POST", route="/x", status=503, seconds=0.5, trace="", change=True)

    first, second, metrics = journal_lines(write)
    assert first["method"] == "GET"
    assert first["route"] == "/suppliers"
    assert first["status"] == 200
    assert first["duration_ms"] == 12.3
    assert first["trace"] == "Root=1-a"
    assert second["status"] == 503
    names = {metric["Name"] for metric in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"Latency", "Requests", "Errors", "Changes"}
    assert metrics["Latency"] == [12.3, 500.0]
    assert (metrics["Requests"], metrics["Errors"], metrics["Changes"]) == (2, 1, 1)
    assert names <= set(metrics)


def test_a_metric_line_never_holds_more_values_than_the_format_allows() -> None:
    def write(journal: Journal) -> None:
        for _ in range(250):
            journal.request(method="GET", route="/", status=200, seconds=0.001, trace="")

    metrics = [line for line in journal_lines(write) if "_aws" in line]
    assert [len(line["Latency"]) for line in metrics] == [100, 100, 50]


def test_whoever_logs_never_waits_for_the_log_to_be_taken_away() -> None:
    """The pipe takes 64 KiB and nobody reads it."""
    read_end, write_end = os.pipe()
    output = Output("customer", write_end, most_lines=2000)
    line, count = b'{"message": "' + b"x" * 200 + b'"}', 20_000
    started = time.monotonic()
    for _ in range(count):
        output.add(line)
        output.flush()
    assert time.monotonic() - started < 5
    reader = threading.Thread(target=output.close)
    reader.start()
    with os.fdopen(read_end) as log:
        lines = [json.loads(next(log))]
        while "lost" not in lines[-1]:
            lines.append(json.loads(next(log)))
    reader.join()
    os.close(write_end)
    assert 2000 <= len(lines) - 1 < count
    assert len(lines) - 1 + lines[-1]["lost"] == count
    assert lines[-1]["level"] == "WARNING"


def test_a_log_that_nobody_can_read_any_more_ends_no_service() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    journal = Journal("customer", "test", descriptor=write_end)
    journal.line({"message": "x"})
    journal.close()
    os.close(write_end)


def test_an_error_is_logged_by_type_and_place_without_its_message() -> None:
    try:
        try:
            raise KeyError("jane@example.org")
        except KeyError as error:
            raise ValueError("jane@example.org") from error
    except ValueError as error:
        text = exception_text(error)
    assert "ValueError" in text
    assert "KeyError" in text
    assert "test_units.py" in text
    assert "jane" not in text


def test_a_statement_gives_its_parameters_in_the_order_of_its_text() -> None:
    table = SUPPLIERS.table
    statement = Statement(
        select(table.c.id).where(table.c.city == bindparam("b"), table.c.name == bindparam("a"))
    )
    sql, values = statement.for_mysql({"a": 1, "b": 2})
    assert sql.index("city = %s") < sql.index("name = %s")
    assert values == (2, 1)


def test_an_entrys_tag_changes_with_its_version() -> None:
    entry = Entry(1, "n", "a", "c", "s", "e", "p", 3)
    assert entry.etag == '"3"'


def test_lookups_that_come_at_once_share_queries_and_each_gets_its_own_value() -> None:
    queries: list[tuple[int, ...]] = []

    async def read(keys: Sequence[int]) -> dict[int, str]:
        queries.append(tuple(keys))
        await asyncio.sleep(0.005)
        return {key: f"value {key}" for key in keys if key % 10}

    async def run() -> list[str | None]:
        lookups = Lookups(read, most_queries=2, most_keys=50)
        return await asyncio.gather(*(lookups.get(number % 60) for number in range(200)))

    found = asyncio.run(run())
    assert found == [f"value {n % 60}" if n % 60 % 10 else None for n in range(200)]
    assert len(queries) <= 5
    assert max(map(len, queries)) <= 50


def test_a_lookup_is_answered_by_a_query_that_started_after_it_was_asked_for() -> None:
    value = 0

    async def run() -> None:
        nonlocal value
        answers: list[asyncio.Event] = []

        async def read(keys: Sequence[int]) -> dict[int, int]:
            seen, answer = value, asyncio.Event()
            answers.append(answer)
            await answer.wait()
            return dict.fromkeys(keys, seen)

        async def begun(queries: int) -> None:
            while len(answers) < queries:
                await asyncio.sleep(0)

        lookups = Lookups(read, most_queries=1)
        first = [asyncio.create_task(lookups.get(1)) for _ in range(3)]
        await begun(1)
        answers[0].set()
        await begun(2)  # for those who waited
        value = 1
        last = asyncio.create_task(lookups.get(1))
        await asyncio.sleep(0)
        answers[1].set()
        await begun(3)
        answers[2].set()
        assert await last == 1
        assert await asyncio.gather(*first) == [0, 0, 0]

    asyncio.run(run())


def test_an_error_of_a_shared_lookup_reaches_everybody_and_the_next_one_is_tried_again() -> None:
    broken = True

    async def read(keys: Sequence[int]) -> dict[int, int]:
        await asyncio.sleep(0.001)
        if broken:
            raise DatabaseAway("gone")
        return dict.fromkeys(keys, 1)

    async def run() -> None:
        nonlocal broken
        lookups = Lookups(read)
        results = await asyncio.gather(*(lookups.get(n) for n in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseAway}
        broken = False
        assert await asyncio.gather(*(lookups.get(n) for n in range(20))) == [1] * 20

    asyncio.run(run())


def test_a_reader_who_leaves_takes_no_lookup_from_others() -> None:
    async def read(keys: Sequence[int]) -> dict[int, int]:
        await asyncio.sleep(0.01)
        return {key: key for key in keys}

    async def run() -> None:
        lookups = Lookups(read, most_queries=1)
        tasks = [asyncio.create_task(lookups.get(n)) for n in (1, 2, 2, 3)]
        await asyncio.sleep(0.002)
        tasks[0].cancel()
        tasks[1].cancel()
        assert await asyncio.gather(*tasks[2:]) == [2, 3]

    asyncio.run(run())
