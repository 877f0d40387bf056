"""Backups of the database: a snapshot on AWS, a dump of the emulator's server, and the way back from one.

On AWS what is restored becomes an instance beside the one that runs, and both are renamed when a person has
looked at it: docs/restore.md. Restoring by a command exists for the emulator alone.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import WaiterError

from emulator.instance import Instance
from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.deployed import database
from ops.deployed import deployment as deployed
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from settings import ROOT

FOLDER = ROOT / ".local" / "backups"
_DATABASE = "suppliers"
# One moment of all tables, without locking anybody out; the server's own users are made by the prepare task. Without
# the list of transactions (GTIDs): no user of Amazon RDS may set it, and a server that has made transactions refuses it.
_DUMP = (
    *("mysqldump", "--single-transaction", "--routines", "--triggers", "--no-tablespaces", "--hex-blob"),
    "--set-gtid-purged=OFF",
)
_LAST_LINE = b"-- Dump completed"
_TIME_LIMIT_SECONDS = 3600


@dataclass(frozen=True)
class Server:
    """A database server in a container, and who may read and replace all of a database there."""

    container: str
    user: str
    password: str

    def dump(self, database: str, file: Path) -> None:
        """Write all tables of `database`, as they are at one moment, into `file`; no file is left by a failure."""
        partial = file.with_name(f"{file.name}.partial")
        with partial.open("wb") as output:
            done = self._run([*_DUMP, database], stdout=output)
        if done.returncode:
            partial.unlink()
            raise OpsError(f"{self.container}: the dump failed: {_last_line(done.stderr)}")
        partial.replace(file)

    def load(self, database: str, file: Path) -> None:
        """Make the tables in `file` what they were; tables that it does not hold stay as they are.

        A file that is no whole dump is refused before anything changes.
        """
        whole(file)
        with file.open("rb") as content:
            done = self._run(["mysql", database], stdin=content)
        if done.returncode:
            raise OpsError(f"{file}: cannot be restored: {_last_line(done.stderr)}")

    def _run(self, command: Sequence[str], **streams: object) -> subprocess.CompletedProcess[bytes]:
        program, *arguments = command
        # The name of a variable alone, so that its value is on no command line.
        inside = ["docker", "exec", "-i", "-e", "MYSQL_PWD", self.container, program, f"--user={self.user}"]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [*inside, *arguments],
            env={**os.environ, "MYSQL_PWD": self.password},
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **streams},
            stderr=subprocess.PIPE,
            check=False,
            timeout=_TIME_LIMIT_SECONDS,
        )


def back_up(session: Session) -> str:
    """Make a backup and return its name: a whole path for the emulator, the identifier of a snapshot on AWS."""
    environment, deployment = session.environment, deployed.read(session)
    name = f"{environment.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if session.instance is not None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{name}.sql"
        _server(session.clients, session.instance, deployment).dump(_DATABASE, file)
        return str(file)
    identifier = deployment.output("data", "DatabaseIdentifier")
    copied = database.named(session.clients, identifier, cluster=environment.database.cluster)
    return snapshot(copied, f"suppliers-{name}", session.notes.print)


def restore(session: Session, file: Path, *, yes: bool) -> str:
    """Make the emulator's database what it was when `file` was dumped; returns a dump of what it is before.

    Asks first, unless the answer is `yes`. A file that is no whole dump is refused before anything is asked.
    """
    if session.instance is None:
        raise OpsError(
            f"{session.name}: on AWS a backup is restored beside the running database: docs/restore.md"
        )
    server = _server(session.clients, session.instance, deployed.read(session))
    whole(file)
    session.confirm(f"replace the rows of its database by those in {file}", yes=yes, always=True)
    before = back_up(session)
    server.load(_DATABASE, file)
    return before


def whole(file: Path) -> None:
    """Raise `OpsError` unless a file is a dump to its end."""
    try:
        with file.open("rb") as content:
            content.seek(max(0, file.stat().st_size - 200))
            if _LAST_LINE not in content.read():
                raise OpsError(f"{file}: is no whole dump: its last line is not {_LAST_LINE.decode()!r}")
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None


def snapshot(copied: database.Database, name: str, say: Callable[[str], None]) -> str:
    """Make a snapshot of a database and wait until it is available, at most an hour."""
    say(f"snapshot {name} of {copied.identifier}: waiting until it is available")
    try:
        copied.snapshot(name, delay=15, attempts=240)
    except WaiterError as error:
        raise OpsError(f"snapshot {name}: {error}") from None
    return name


def _server(clients: Clients, instance: Instance, deployment: Deployment) -> Server:
    command = ["docker", "ps", "--filter", f"label={instance.label}", "--format", "{{.Names}}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # A cluster's server is called after its first instance.
    identifier = deployment.output("data", "DatabaseIdentifier")
    ends = (f"-{identifier}", f"-{identifier}-instance-1")
    names = [name for name in listed.stdout.split() if name.endswith(ends)]
    if len(names) != 1:
        raise OpsError(f"the emulator on port {instance.port} runs no database: run `make deploy`")
    value = clients.client("secretsmanager").get_secret_value(
        SecretId=deployment.output("data", "AdministratorSecretArn")
    )
    credentials = json.loads(value["SecretString"])
    return Server(names[0], credentials["username"], credentials["password"])


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
