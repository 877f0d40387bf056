"""Paths of the administration as somebody writes them who wants to get past a rule."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

ADMINISTRATION = (
    "/admin",
    "/admin/",
    "/admin/suppliers",
    "/admin/supplier-add",
    "/admin/supplier-update/1",
    "/admin/api/suppliers",
    "/admin/api/suppliers/1",
)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A path of the administration, written as somebody who wants to get past a rule writes it."""
    path = draw(st.sampled_from(ADMINISTRATION))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(_DISGUISES))(draw, path)
    return path


def _anywhere(draw: st.DrawFn, path: str, what: str) -> str:
    place = draw(st.integers(1, len(path)))
    return path[:place] + what + path[place:]


def _at_a_slash(draw: st.DrawFn, path: str, what: str) -> str:
    slashes = [number for number, letter in enumerate(path) if letter == "/"]
    if not slashes:
        return path
    place = draw(st.sampled_from(slashes))
    return path[:place] + what + path[place + 1 :]


def _other_case(draw: st.DrawFn, path: str) -> str:
    upper = draw(st.lists(st.booleans(), min_size=len(path), max_size=len(path)))
    return "".join(letter.upper() if chosen else letter for letter, chosen in zip(path, upper, strict=True))


def _encoded(draw: st.DrawFn, path: str) -> str:
    place = draw(st.integers(1, len(path) - 1)) if len(path) > 1 else 0
    code = f"%{ord(path[place]):02x}" if ord(path[place]) < 128 else path[place]
    twice = code.replace("%", "%25")
    return path[:place] + draw(st.sampled_from((code, code.upper(), twice))) + path[place + 1 :]


_Disguise = Callable[[st.DrawFn, str], str]
_DISGUISES: tuple[_Disguise, ...] = (
    _other_case,
    _encoded,
    lambda draw, path: _at_a_slash(draw, path, draw(st.sampled_from(("//", "///", "/./", "/x/../")))),
    lambda draw, path: _at_a_slash(draw, path, draw(st.sampled_from(("%2f", "%2F", "\\", "%5c")))),
    lambda draw, path: _anywhere(draw, path, draw(st.sampled_from((";x", ";x=/", ".", "..", "%00", "%20")))),
    lambda draw, path: (
        path + draw(st.sampled_from(("/", ".", "..", "/.", "/..", "/../", "#", "%23", "*", "?")))
    ),
    lambda draw, path: path + "?" + draw(st.sampled_from(("", "x=/admin", "/suppliers", "/../admin", "a?b"))),
    lambda draw, path: draw(st.sampled_from(("/suppliers/..", "/x/../", "/.", "/%2e%2e"))) + path,
    lambda draw, path: path.replace("a", draw(st.sampled_from(("\N{CYRILLIC SMALL LETTER A}", "%c1%a1")))),
)
