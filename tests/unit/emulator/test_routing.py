from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from emulator.routing import (
    Address,
    Request,
    address_of,
    choose_listener,
    condition_holds,
    deciding_action,
    default_listener,
    forward_weights,
    listener_host,
    select_rule,
    sign_in_url,
    status_matches,
)

HTTP = {"Port": 80, "Protocol": "HTTP", "name": "production"}
TEST = {"Port": 8080, "Protocol": "HTTP", "name": "test"}
HTTPS = {"Port": 443, "Protocol": "HTTPS", "name": "secure"}


def request(
    path: str = "/", *, source_ip: str = "127.0.0.1", query: Mapping[str, Sequence[str]] | None = None
) -> Request:
    return Request(
        method="GET",
        host="shop.alb.localhost:4566",
        path=path,
        query=query or {},
        headers={"user-agent": "curl/8"},
        source_ip=source_ip,
    )


def condition(field: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"Field": field, "Values": list(values), **more}


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("shop.alb.localhost:4566", "/a", Address("shop", None, "/a")),
        ("shop--8080.alb.localhost", "/a", Address("shop", 8080, "/a")),
        ("my-shop-1--8443.alb.localhost:14566", "/", Address("my-shop-1", 8443, "/")),
        ("Shop.ALB.localhost", "/", Address("shop", None, "/")),
        ("localhost:4566", "/_alb/shop/a", Address("shop", None, "/a")),
        ("localhost:4566", "/_alb/shop:8080", Address("shop", 8080, "/")),
        ("localhost:4566", "/", None),
        ("s3.localhost:4566", "/bucket", None),
    ],
)
def test_a_host_name_or_path_names_a_load_balancer_and_a_listener(
    host: str, path: str, expected: Address | None
) -> None:
    assert address_of(host, path) == expected


def test_the_name_of_a_listener_leads_back_to_it() -> None:
    assert address_of(listener_host("shop", 8080, default=False), "/") == Address("shop", 8080, "/")
    assert address_of(listener_host("shop", 80, default=True), "/") == Address("shop", None, "/")


def test_without_a_port_the_standard_port_of_the_scheme_is_meant() -> None:
    listeners = [TEST, HTTPS, HTTP]
    assert default_listener(listeners, secure=False) is HTTP
    assert default_listener(listeners, secure=True) is HTTPS
    assert default_listener([TEST], secure=False) is TEST


def test_a_port_on_which_nothing_listens_has_no_listener() -> None:
    assert choose_listener([HTTP, TEST], Address("shop", 8080, "/"), secure=False) is TEST
    assert choose_listener([HTTP], Address("shop", 8080, "/"), secure=False) is None
    assert choose_listener([HTTP], Address("shop", None, "/"), secure=True) is None


@pytest.mark.parametrize(
    ("pattern", "path", "holds"),
    [
        ("/admin/*", "/admin/suppliers", True),
        ("/admin/*", "/admin", False),
        ("/Admin/*", "/admin/x", False),
        ("/a?c", "/abc", True),
        ("/[ab]", "/a", False),
        ("/*", "/", True),
    ],
)
def test_paths_match_with_case_and_only_star_and_question_mark_as_wildcards(
    pattern: str, path: str, holds: bool
) -> None:
    assert condition_holds(condition("path-pattern", pattern), request(path)) is holds


@pytest.mark.parametrize(
    ("source_ip", "holds"),
    [("10.1.2.3", True), ("192.0.2.7", True), ("192.0.2.8", False), ("not an address", False)],
)
def test_a_source_address_matches_only_inside_the_networks(source_ip: str, holds: bool) -> None:
    networks = condition("source-ip", "10.0.0.0/8", "192.0.2.7/32")
    assert condition_holds(networks, request(source_ip=source_ip)) is holds


def test_a_path_that_is_closed_to_an_address_falls_to_the_rule_that_refuses_it() -> None:
    path = condition("path-pattern", "/admin/*")
    rules: list[dict[str, Any]] = [
        {"Priority": "default", "IsDefault": True, "name": "default"},
        {"Priority": "11", "Conditions": [path], "name": "closed"},
        {"Priority": "9", "Conditions": [path, condition("source-ip", "10.0.0.0/8")], "name": "open"},
    ]

    def rule(address: str, url: str = "/admin/x") -> str:
        found = select_rule(rules, request(url, source_ip=address))
        assert found is not None
        return str(found["name"])

    assert rule("10.0.0.1") == "open"
    assert rule("203.0.113.5") == "closed"
    assert rule("203.0.113.5", "/") == "default"


def test_a_condition_that_is_not_known_never_opens_a_path() -> None:
    assert not condition_holds(condition("moon-phase", "full"), request())


def test_headers_hosts_methods_and_queries_are_looked_at() -> None:
    header = condition("http-header", HttpHeaderConfig={"HttpHeaderName": "User-Agent", "Values": ["CURL/*"]})
    assert condition_holds(header, request())
    assert condition_holds(condition("host-header", "*.alb.localhost"), request())
    assert not condition_holds(condition("host-header", "example.com"), request())
    assert condition_holds(condition("http-request-method", "GET"), request())
    assert not condition_holds(condition("http-request-method", "POST"), request())
    assert condition_holds(condition("query-string", "v=2"), request(query={"v": ["2"]}))
    assert not condition_holds(condition("query-string", "v=2"), request(query={"v": ["3"]}))


def test_a_rule_that_signs_users_in_lets_nobody_through() -> None:
    sign_in = {
        "Type": "authenticate-oidc",
        "Order": 1,
        "AuthenticateOidcConfig": {"AuthorizationEndpoint": "https://login/a", "ClientId": "directory"},
    }
    forward = {"Type": "forward", "Order": 2}
    assert deciding_action([forward, sign_in]) is sign_in
    assert deciding_action([forward]) is forward
    assert deciding_action([]) is None
    assert sign_in_url(sign_in, "shop.alb.localhost:14566") == (
        "https://login/a?client_id=directory&redirect_uri=https%3A%2F%2Fshop.alb.localhost%3A14566"
        "%2Foauth2%2Fidpresponse&response_type=code&scope=openid"
    )


def test_a_target_group_of_weight_zero_gets_nothing() -> None:
    action = {
        "TargetGroupArn": "blue",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": "blue", "Weight": 0},
                {"TargetGroupArn": "green", "Weight": 100},
            ]
        },
    }
    assert forward_weights(action) == [("green", 100)]
    assert forward_weights({"TargetGroupArn": "blue"}) == [("blue", 1)]


@pytest.mark.parametrize(
    ("matcher", "status", "matches"),
    [
        ("200", 200, True),
        ("200", 302, False),
        ("200,302", 302, True),
        ("200-399", 301, True),
        ("200-299", 404, False),
    ],
)
def test_a_matcher_names_the_statuses_of_success(matcher: str, status: int, matches: bool) -> None:
    assert status_matches(matcher, status) is matches
