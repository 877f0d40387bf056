"""Writing SVG: shapes and texts, with sizes that hold in whatever sans-serif font the viewer has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

FONTS = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
INK, MUTED, LINE, PAPER = "#1f2a33", "#5b6770", "#8d99a3", "#ffffff"

# Widths in em of DejaVu Sans, the widest of the fonts above, so that nothing runs over in any of them.
_WIDTHS = {
    **dict.fromkeys("ijlI.,:;|!'", 0.32),
    **dict.fromkeys("ftr()[]/- *", 0.4),
    **dict.fromkeys("mwMW@%+=", 0.9),
    **dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ", 0.72),
}
_BOLD = 1.12
_HEAD = (
    '<marker id="{id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" '
    'orient="auto-start-reverse"><path d="M0 1 L10 5 L0 9 z" fill="{colour}"/></marker>'
)


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a text in the widest of the fonts, in the unit of its size."""
    return sum(_WIDTHS.get(character, 0.62) for character in text) * size * (_BOLD if bold else 1)


def shortened(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """The text, with its end left out where it is wider than `width`."""
    if width_of(text, size, bold=bold) <= width:
        return text
    while text and width_of(f"{text}\u2026", size, bold=bold) > width:
        text = text[:-1]
    return f"{text.rstrip()}\u2026"


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def inset(self, by: float) -> Box:
        """The box without a margin."""
        return Box(self.x + by, self.y + by, self.width - 2 * by, self.height - 2 * by)


@dataclass
class Canvas:
    """Collects the elements of a picture."""

    title: str
    parts: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)

    def box(
        self,
        box: Box,
        *,
        fill: str = PAPER,
        stroke: str = LINE,
        radius: float = 8,
        dashed: bool = False,
        thick: float = 1.2,
    ) -> None:
        """Draw a rectangle."""
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}" '
            f'rx="{_n(radius)}" fill="{fill}" stroke="{stroke}" stroke-width="{_n(thick)}"{dash}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 13,
        bold: bool = False,
        colour: str = INK,
        anchor: str = "start",
        width: float | None = None,
    ) -> None:
        """Write one line of text, its end left out where it is wider than `width`."""
        if width is not None:
            text = shortened(text, size, width, bold=bold)
        weight = ' font-weight="bold"' if bold else ""
        side = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{weight}{side} fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def badge(self, x: float, y: float, letters: str, colour: str, side: float = 26) -> None:
        """Draw a small square with letters, which says what kind of thing a card is about."""
        self.box(Box(x, y, side, side), fill=colour, stroke=colour, radius=6)
        size = min(side * 0.42, side * 0.86 / max(width_of(letters, 1, bold=True), 0.1))
        self.text(
            x + side / 2,
            y + side / 2 + size * 0.36,
            letters,
            size=size,
            bold=True,
            colour=PAPER,
            anchor="middle",
        )

    def chip(self, x: float, y: float, text: str, *, fill: str, colour: str = INK, size: float = 11) -> float:
        """Draw a rounded label and answer its width."""
        width = width_of(text, size) + 16
        self.box(Box(x, y, width, size + 10), fill=fill, stroke=fill, radius=(size + 10) / 2)
        self.text(x + width / 2, y + size + 3.5, text, size=size, colour=colour, anchor="middle")
        return width

    def arrow(
        self,
        points: Sequence[tuple[float, float]],
        *,
        colour: str = MUTED,
        dashed: bool = False,
        both: bool = False,
        thick: float = 1.5,
    ) -> None:
        """Draw a line along the points, its corners rounded, with a head at its end."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        head = f"head-{colour.removeprefix('#')}"
        self.heads[head] = colour
        start = f' marker-start="url(#{head})"' if both else ""
        self.parts.append(
            f'<path d="{_rounded(points)}" fill="none" stroke="{colour}" stroke-width="{_n(thick)}"{dash}'
            f'{start} marker-end="url(#{head})"/>'
        )

    def svg(self, width: float, height: float) -> str:
        """The whole picture."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
            f'width="{_n(width)}" height="{_n(height)}" font-family={quoteattr(FONTS)}>\n'
            f"<title>{escape(self.title)}</title>\n"
            f"<defs>{''.join(_HEAD.format(id=head, colour=colour) for head, colour in self.heads.items())}</defs>\n"
            f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def _rounded(points: Sequence[tuple[float, float]], radius: float = 7) -> str:
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        entry, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        path.append(
            f"L{_n(entry[0])} {_n(entry[1])} Q{_n(corner[0])} {_n(corner[1])} {_n(leave[0])} {_n(leave[1])}"
        )
    path.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return " ".join(path)


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1
    share = min(distance, length / 2) / length
    return start[0] + dx * share, start[1] + dy * share


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
