"""SVG to PNG."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from xml.sax.saxutils import quoteattr

from ops.diagram.svg import FONTS
from ops.errors import OpsError

# Twice its size, for screens of high resolution.
_ZOOM = 2
_TEXT = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9" font-family={quoteattr(FONTS)}>'


def png(svg: str) -> bytes:
    """The picture in twice its size; raises `OpsError` on a machine without fonts, whose texts would be missing."""
    if _render(f"{_TEXT}M</text></svg>", 1) == _render(f"{_TEXT}</text></svg>", 1):
        raise OpsError(
            "diagram: no font is installed to write the texts with: install one (fonts-dejavu-core)"
        )
    return _render(svg, _ZOOM)


def _render(svg: str, zoom: float) -> bytes:
    # Imported here: `doctor` tells that a package is missing, and so must run without it.
    try:
        import resvg_py
    except ImportError:
        raise OpsError("diagram: the package resvg-py is missing: run `make setup`") from None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom, sans_serif_family=_sans_serif()))


@cache
def _sans_serif() -> str | None:
    """The family that stands for sans-serif here, which the renderer cannot find out by itself."""
    if shutil.which("fc-match") is None:
        return None
    done = subprocess.run(
        ["fc-match", "--format", "%{family[0]}", "sans-serif"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
