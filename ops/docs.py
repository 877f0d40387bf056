"""`python -m ops.docs`: the help of every command as one Markdown page, docs/cli.md."""

from __future__ import annotations

import os

WIDTH = 100
_FIRST = """# The command line

`python -m ops`, installed as `suppliers`. This page is the `--help` of every command; `make docs` writes it.
"""


def page() -> str:
    """The whole page, the same on every machine: without colours, and of a fixed width."""
    # typer reads some of these when it is first imported.
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
        os.environ.pop(name, None)
    os.environ.update(
        COLUMNS=str(WIDTH), TERMINAL_WIDTH=str(WIDTH), NO_COLOR="1", TERM="dumb", LC_ALL="C.UTF-8"
    )
    from typer.testing import CliRunner

    from ops.command_line import app
    from ops.terminal.lazy import every

    sections = [_FIRST]
    for words, _ in every(app):
        done = CliRunner().invoke(app, [*words, "--help"], prog_name="suppliers", catch_exceptions=False)
        lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
        text = "\n".join(line for line, before in zip(lines, ["", *lines], strict=False) if line or before)
        title = " ".join(("suppliers", *words))
        sections.append(f"{'#' * min(len(words) + 2, 3)} {title}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(page(), end="")
