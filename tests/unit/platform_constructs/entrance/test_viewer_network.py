"""The function in front of everything says truly whether a viewer is on a network of administrators."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from directory.web.texts import choose
from emulator import edge
from platform_constructs.entrance.viewer_network import ADMIN, HEADER, function_code
from tests.viewer_function import Headers, ViewerFunction

CIDRS = ("203.0.113.0/24", "198.51.100.7/32", "10.0.0.0/8", "255.255.255.255/32")
SAID: list[Headers] = [
    {},
    {HEADER: {"value": ADMIN}},
    {HEADER: {"value": "public", "multiValue": [{"value": "public"}, {"value": ADMIN}]}},
    {"X-Viewer-Network": {"value": ADMIN}, HEADER.upper(): {"value": ADMIN}},
]


@pytest.fixture(scope="module")
def function() -> ViewerFunction:
    return ViewerFunction(function_code(CIDRS))


def named(headers: dict[str, str]) -> list[str]:
    """Every value that the load balancer would find under the name, which it compares without regard to case."""
    return [value for name, value in headers.items() if name.lower() == HEADER]


EDGES = [
    str(address)
    for cidr in CIDRS
    for network in [ipaddress.IPv4Network(cidr)]
    for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1)
    if 0 <= number < 2**32
    for address in [ipaddress.IPv4Address(number)]
]
ADDRESSES = st.one_of(
    st.sampled_from(EDGES), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.text(max_size=40)
)


@examples(deadline=None, max_examples=300)
@given(address=ADDRESSES, sent=st.sampled_from(SAID))
def test_only_the_address_decides_whatever_the_viewer_says_of_itself(
    function: ViewerFunction, address: str, sent: Headers
) -> None:
    try:
        inside = any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(each) for each in CIDRS)
    except ValueError:
        inside = False
    assert named(function.headers(address, sent)) == [ADMIN if inside else "public"]


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:203.0.113.7",
        "203.0.113.7, 8.8.8.8",
        " 203.0.113.7",
        "203.0.113.7\n",
        "203.0.112.256",
        "203.0.113",
        "203.0.113.7.1",
        "0xcb.0.113.7",
        "",
    ],
)
def test_what_is_no_ipv4_address_is_on_no_network(function: ViewerFunction, address: str) -> None:
    assert named(function.headers(address)) == ["public"]


@pytest.mark.parametrize("address", EDGES)
def test_the_emulator_says_the_same_as_the_function(function: ViewerFunction, address: str) -> None:
    sent = {HEADER: ADMIN, "accept": "text/html"}
    emulated = edge.as_forwarded(sent, address, function_code(CIDRS))
    events = {name: {"value": value} for name, value in sent.items()}
    assert emulated == function.headers(address, events)
    assert edge.HEADER == HEADER


@pytest.mark.parametrize(
    ("sent", "told_on"),
    [
        ("en", "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr,en,de"),
        ("en;q=0.2,fr;q=0.9", "fr,en"),
        ("DE-de", "de"),
        ("en;q=0, fr", "fr"),
        ("nl,de,fr,en,it,es", "nl,de,fr,en"),
        ("*", None),
        ("", None),
        ('en"><script>', None),
        ("q" * 5000, None),
    ],
)
def test_languages_are_told_on_without_what_would_splinter_the_cache(
    function: ViewerFunction, sent: str, told_on: str | None
) -> None:
    headers = function.headers("8.8.8.8", {"accept-language": {"value": sent}})
    assert headers.get("accept-language") == told_on


LANGUAGES = st.lists(
    st.tuples(
        st.sampled_from(("en", "fr", "de", "en-GB", "fr-CA", "zh-Hant-TW")),
        st.sampled_from(("", ";q=0.9", ";q=0.5", "; q=0.1", ";q=0")),
    ),
    max_size=6,
).map(lambda items: ", ".join(language + quality for language, quality in items))


@examples(deadline=None)
@given(sent=LANGUAGES)
def test_the_pages_are_in_the_same_language_as_without_the_edge(function: ViewerFunction, sent: str) -> None:
    headers = function.headers("8.8.8.8", {"accept-language": {"value": sent}})
    assert choose(headers.get("accept-language", "")) == choose(sent)


def test_other_headers_go_on_as_they_came(function: ViewerFunction) -> None:
    sent = {"host": {"value": "a.example.com"}, "cookie2": {"value": "x"}}
    headers = function.headers("8.8.8.8", sent)
    assert headers == {"host": "a.example.com", "cookie2": "x", HEADER: "public"}


# What the function uses of the language, all of it on the page of the runtime; what it does not use yet is looked up
# there first: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html
STATEMENTS = {"const", "let", "function", "return", "if", "for", "delete", "null", "undefined"}
BUILTINS = {
    "Object": {"keys"},
    "Number": set(),
    "String": {"indexOf", "slice", "split", "toLowerCase", "trim"},
    "Array": {"filter", "forEach", "indexOf", "join", "length", "map", "push", "slice", "some", "sort"},
    "RegExp": {"exec", "test"},
}
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html
EVENT = {"request", "headers", "viewer", "ip", "value"}
_COMMENT, _TEXT, _PATTERN = r"//[^\n]*", r"'[^'\n]*'", r"/\^[^\n]*?\$/"
_OPENS = r"(?:const|let|function)\s+(\w+)"
_TAKES = r"function \w+\(([\w, ]*)\)|\(([\w, ]*)\) =>"
_KEYS = r"(\w+): "


def beyond_the_page(code: str) -> set[str]:
    """Words of a function that are neither its own nor on the page of CloudFront's runtime."""
    code = re.sub("|".join((_COMMENT, _TEXT, _PATTERN)), " ", code)
    own = {*re.findall(_OPENS, code), *re.findall(_KEYS, code)}
    for takes in re.findall(_TAKES, code):
        own.update(re.findall(r"\w+", " ".join(takes)))
    listed = STATEMENTS | EVENT | BUILTINS.keys() | set().union(*BUILTINS.values())
    return set(re.findall(r"[A-Za-z_$][\w$]*", code)) - own - listed


def test_the_function_uses_only_what_the_runtime_lists() -> None:
    assert beyond_the_page(function_code(CIDRS)) == set()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("for (const name of names) {}", "of"),
        ("eval(text);", "eval"),
        ("new Function(text);", "Function"),
        ("setTimeout(handler, 1);", "setTimeout"),
        ("class Network {}", "class"),
        ("let later = import('fs');", "import"),
        ("names.replaceAll('a', 'b');", "replaceAll"),
        ("process.env;", "process"),
    ],
)
def test_what_the_runtime_does_not_list_is_found(line: str, word: str) -> None:
    assert word in beyond_the_page(function_code(CIDRS).replace("const request", f"{line}\n  const request"))


def test_what_the_engine_does_not_know_fails() -> None:
    with pytest.raises(AssertionError, match="SyntaxError"):
        ViewerFunction("function handler(event) { return class {}; }").headers("8.8.8.8")


def test_as_many_networks_as_the_settings_allow_fit_into_a_function() -> None:
    # 10 KB: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
    assert len(function_code([f"203.0.113.{number}/32" for number in range(20)]).encode()) < 10_000
