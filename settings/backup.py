"""`[backup]`: snapshots beside the database's own."""

from __future__ import annotations

from pydantic import Field

from settings.values import Section


class Backup(Section):
    """Snapshots by AWS Backup, a day each; absent means: only the instance's own backups (`database.backup_days`)."""

    retention_days: int = Field(default=35, ge=7, le=3650)
