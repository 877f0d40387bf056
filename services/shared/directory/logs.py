"""Structured logs: one JSON line a request, and embedded metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback

import orjson

NAMESPACE = "Directory"
_FLUSH_SECONDS = 0.2
_METRIC_SECONDS = 10.0
_MOST_VALUES = 100


class Journal:
    """Lines for standard output, written in batches so that a request does not wait for a write."""

    def __init__(self, service: str, environment: str, *, descriptor: int = 1) -> None:
        self._service = service
        self._environment = environment
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._scheduled = False
        self._latencies: list[float] = []
        self._errors = 0
        self._requests = 0
        self._changes = 0
        self._looked_up = {True: 0, False: 0}
        self._metrics_due = time.monotonic() + _METRIC_SECONDS

    def request(
        self,
        *,
        method: str,
        route: str,
        status: int,
        seconds: float,
        trace: str,
        change: bool = False,
        employee: str = "",
    ) -> None:
        """One request; one that changed the directory also says so, and which employee asked, if that is known."""
        milliseconds = round(seconds * 1000, 3)
        entry: dict[str, object] = {
            "time": round(time.time(), 3),
            "level": "INFO",
            "message": "request",
            "service": self._service,
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": milliseconds,
            "trace": trace,
        }
        if change:
            # A number: CloudWatch Logs Insights compares those in every query language.
            entry["change"] = 1
            if employee:
                entry["employee"] = employee
        self.line(entry)
        self._requests += 1
        self._errors += status >= 500
        self._changes += change
        self._latencies.append(milliseconds)
        if len(self._latencies) >= _MOST_VALUES or time.monotonic() >= self._metrics_due:
            self._metrics()

    def look_up(self, found: bool) -> None:
        """A page of a list that the shared cache had, or had not."""
        self._looked_up[found] += 1

    def _metrics(self) -> None:
        self._metrics_due = time.monotonic() + _METRIC_SECONDS
        if not self._requests:
            return
        # For queries of the log; as metrics they would be charged, and the cache has its own.
        looked_up = (
            {"CacheHits": self._looked_up[True], "CacheMisses": self._looked_up[False]}
            if any(self._looked_up.values())
            else {}
        )
        self.line(
            {
                "_aws": {
                    "Timestamp": int(time.time() * 1000),
                    "CloudWatchMetrics": [
                        {
                            "Namespace": NAMESPACE,
                            "Dimensions": [["Environment", "Service"]],
                            "Metrics": [
                                {"Name": "Latency", "Unit": "Milliseconds"},
                                {"Name": "Requests", "Unit": "Count"},
                                {"Name": "Errors", "Unit": "Count"},
                                {"Name": "Changes", "Unit": "Count"},
                            ],
                        }
                    ],
                },
                "Environment": self._environment,
                "Service": self._service,
                "Latency": self._latencies,
                "Requests": self._requests,
                "Errors": self._errors,
                "Changes": self._changes,
                **looked_up,
            }
        )
        self._latencies = []
        self._looked_up = {True: 0, False: 0}
        self._requests = self._errors = self._changes = 0

    def line(self, entry: dict[str, object]) -> None:
        self._lines.append(orjson.dumps(entry))
        if not self._scheduled:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.flush()
                return
            self._scheduled = True
            loop.call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        self._scheduled = False
        lines, self._lines = self._lines, []
        if lines:
            data = b"\n".join(lines) + b"\n"
            while data:
                data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        self._metrics()
        self.flush()


class JournalHandler(logging.Handler):
    """Standard logging into the journal; a traceback is one field of its line."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.INFO)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        entry: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = exception_text(record.exc_info[1])
        self._journal.line(entry)
        if record.levelno >= logging.ERROR:
            self._journal.flush()


def exception_text(error: BaseException) -> str:
    """Types and places of an error and its causes; messages may quote what a person typed."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 5:
        frames = traceback.extract_tb(seen.__traceback__)
        places = " < ".join(
            f"{frame.name}:{frame.filename}:{frame.lineno}" for frame in reversed(frames[-8:])
        )
        parts.append(f"{type(seen).__module__}.{type(seen).__qualname__} at {places}")
        seen = seen.__cause__ or seen.__context__
    return " caused by ".join(parts)
