"""One emulator instance: everything it owns is derived from its port."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from emulator.errors import EmulatorError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4566
DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"

# Above the ports that services usually take and below the range from which Linux picks client ports
# (32768 and up), for every gateway port a developer is likely to choose.
TLS_PORT_OFFSET = 10_000
HIGHEST_PORT = 65_535 - TLS_PORT_OFFSET

# On every container and network of an instance; the value is the instance's state folder, so that two
# clones of the project never take each other's containers for their own.
LABEL = "emulator.instance"


@dataclass(frozen=True)
class Instance:
    """An emulator instance, running or not."""

    port: int = DEFAULT_PORT
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    root: Path = field(default=PROJECT_ROOT)

    def __post_init__(self) -> None:
        if not 1024 <= self.port <= HIGHEST_PORT:
            raise EmulatorError(f"port {self.port}: choose one from 1024 to {HIGHEST_PORT}")
        if not (len(self.account) == 12 and self.account.isdigit()):
            raise EmulatorError(f"account {self.account!r}: an AWS account id has 12 digits")

    @property
    def local(self) -> Path:
        """Folder of everything that is made on this machine and never committed."""
        return self.root / ".local"

    @property
    def venv(self) -> Path:
        return self.local / "venv-emulator"

    @property
    def state(self) -> Path:
        return self.local / f"emulator-{self.port}"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def pid_file(self) -> Path:
        return self.state / "pid"

    @property
    def certificate_authority(self) -> Path:
        """PEM file of the authority that signs the instance's database and listener certificates."""
        return self.state / "tls" / "ca.pem"

    @property
    def network(self) -> str:
        return f"emulator-{self.port}"

    @property
    def label(self) -> str:
        return f"{LABEL}={self.state}"

    @property
    def tls_port(self) -> int:
        return self.port + TLS_PORT_OFFSET

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def volume_prefix(self) -> str:
        return f"ministack-rds-{self.port}-"


def from_environment(
    *, port: int | None = None, account: str | None = None, region: str | None = None
) -> Instance:
    """The instance that the arguments name, else EMULATOR_PORT, else the default one."""
    if port is None:
        text = os.environ.get("EMULATOR_PORT") or str(DEFAULT_PORT)
        if not text.isdigit():
            raise EmulatorError(f"EMULATOR_PORT={text}: a port number is needed")
        port = int(text)
    return Instance(port=port, account=account or DEFAULT_ACCOUNT, region=region or DEFAULT_REGION)
