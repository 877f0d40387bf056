"""Links between the project's documents and to its files."""

from __future__ import annotations

import re
import subprocess

import settings

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_every_link_to_a_file_leads_to_one() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=settings.ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    assert "README.md" in listed
    links = [
        (name, target)
        for name in listed
        for target in LINK.findall((settings.ROOT / name).read_text(encoding="utf-8"))
        if not target.startswith(("https:", "http:", "mailto:"))
    ]
    assert len(links) > 100
    assert [each for each in links if not (settings.ROOT / each[0]).parent.joinpath(each[1]).exists()] == []
