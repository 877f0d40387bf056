from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, Group

from ops.terminal import text
from ops.terminal.text import Listing, answers

ARN = "arn:aws:elasticloadbalancing:us-east-1:111122223333:listener/app/suppliers-dev/0123456789abcdef/0123456789abcdef"
ENDED = "Essential container in task exited: OutOfMemoryError (exit status 137)"


def listing() -> Listing:
    made = Listing(*("task", "of", "zone", "address", "ended"), wraps=["ended"], drops=["address", "zone"])
    made.add_row("0123456789abcdef0123456789abcdef", "customer", "us-east-1a", "10.0.128.77", ENDED)
    made.add_row("fedcba9876543210fedcba9876543210", "employee", "us-east-1b", "10.0.128.78", "")
    return made


def on_a_terminal(width: int) -> list[str]:
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(Group(listing()))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_on_a_pipe_a_row_is_one_line_with_whole_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    made = listing()
    made.add_row("x", "customer", "-", ARN, "two\nlines  of text")
    answers().print(Group(made))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert sum("customer" in line for line in lines) == 2
    assert lines[1].endswith(f"us-east-1a  {'10.0.128.77':<{len(ARN)}}  {ENDED}")
    assert lines[3].endswith("two lines of text")
    assert [line.index("customer") for line in (lines[1], lines[3])] == [lines[0].index("of")] * 2


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_on_a_terminal_no_word_is_broken(width: int) -> None:
    lines = on_a_terminal(width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for word in (*ENDED.split(), "0123456789abcdef0123456789abcdef", "customer"):
        assert word in words


def test_where_it_is_narrow_the_least_important_columns_go_and_are_named() -> None:
    assert "too narrow for: address (--json has them)" in on_a_terminal(90)
    assert "too narrow for: zone, address (--json has them)" in on_a_terminal(75)
    assert not any("too narrow" in line for line in on_a_terminal(160))


@pytest.mark.parametrize(("terminal", "first"), [(True, "Report"), (False, "# Report")])
def test_a_report_is_laid_out_for_people_and_markdown_on_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, first: str
) -> None:
    monkeypatch.setattr(
        text, "answers", lambda: Console(force_terminal=terminal, color_system=None, width=80)
    )
    text.print_markdown("# Report\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    printed = capsys.readouterr().out
    assert first in printed
    assert ("|---|" in printed) != terminal
    assert ("# Report" in printed) != terminal


def test_columns_that_wrap_or_go_are_columns() -> None:
    with pytest.raises(ValueError, match="no columns: zones"):
        Listing("task", "zone", drops=["zones"])
