"""Structured logs: one JSON line a request, and embedded metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
import traceback
from collections import deque

import orjson

NAMESPACE = "Directory"
_FLUSH_SECONDS = 0.2
_METRIC_SECONDS = 10.0
_MOST_VALUES = 100
# Some minutes of a busy task, some MB of its memory.
_MOST_LINES = 10_000
_LINES_A_WRITE = 500
# How long an ending process waits for its last lines to be taken: its stop has 30 s, requests under way 20 of them.
_LAST_SECONDS = 2.0


class Output:
    """Writes lines in a thread of its own, so that nobody who has one waits until the log is taken away.

    A write to a full pipe blocks until somebody reads. As many lines as `most_lines` wait for that; more are lost, and
    once the log is read again it says how many.
    """

    def __init__(self, service: str, descriptor: int, *, most_lines: int = _MOST_LINES) -> None:
        self._service = service
        self._descriptor = descriptor
        self._most_lines = most_lines
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._lost_told = 0
        self._patience = _LAST_SECONDS
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._written = threading.Event()
        self._lock = threading.Lock()

    def add(self, line: bytes) -> None:
        """A line to write at the next flush."""
        if len(self._lines) < self._most_lines:
            self._lines.append(line)
        else:
            self._lost += 1

    def flush(self) -> None:
        """Write what was added, without waiting for it."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._written.clear()
            self._ready.set()

    def close(self) -> None:
        """Wait a moment until all is written, but once only."""
        self.flush()
        if not self._written.wait(self._patience):
            self._patience = 0.0

    def _write_on(self) -> None:
        while self._ready.wait():
            self._ready.clear()
            while lines := self._next():
                # Whoever read is gone for good; the service is not.
                with contextlib.suppress(OSError):
                    self._write(b"\n".join(lines) + b"\n")
            with self._lock:
                if not self._lines:
                    self._written.set()

    def _next(self) -> list[bytes]:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_A_WRITE))]
        lost = self._lost - self._lost_told
        if lost and not self._lines:
            self._lost_told += lost
            entry = {
                "time": round(time.time(), 3),
                "level": "WARNING",
                "message": "lines were lost, as nothing took the log away",
                "service": self._service,
                "lost": lost,
            }
            lines.append(orjson.dumps(entry))
        return lines

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]


class Journal:
    """Lines for standard output, written in batches beside the requests, of which none waits for a write."""

    def __init__(self, service: str, environment: str, *, descriptor: int = 1) -> None:
        self._service = service
        self._environment = environment
        self._output = Output(service, descriptor)
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
        self._output.add(orjson.dumps(entry))
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
        self._output.flush()

    def close(self) -> None:
        self._metrics()
        self._output.close()


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
