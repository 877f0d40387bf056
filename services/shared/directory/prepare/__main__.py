from __future__ import annotations

import os
import sys
from pathlib import Path

from directory.prepare.plan import Plan, PrepareError
from directory.prepare.preparation import Preparation
from directory.prepare.server import say
from directory.storage.credentials import CredentialsUnavailable


def main() -> None:
    migrations = Path(os.environ.get("MIGRATIONS", "migrations"))
    try:
        if not (migrations / "env.py").is_file():
            raise PrepareError(f"this image has no migrations ({migrations})")
        Preparation(Plan.from_environment(os.environ), migrations=migrations).run()
    except (PrepareError, CredentialsUnavailable) as error:
        sys.exit(f"prepare: failed: {error}")
    except Exception as error:
        sys.exit(f"prepare: failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
    say("done")


if __name__ == "__main__":
    main()
