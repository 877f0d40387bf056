"""No rule of any listener leads to the administration from elsewhere than allowed, whatever the path's spelling."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import settings
from ops.deployed.routes import TARGET_GROUP, Blueprint
from tests import cdn
from tests.conftest import Synthesize, Template, synthesize
from tests.listeners import Decision, Listener, ThroughCloudFront, listeners, normalized
from tests.resources import of_type, only
from tests.spellings import ADMINISTRATION, spellings
from tests.viewer_function import ViewerFunction

# By what tests/cdn.py calls it.
BEHIND_CLOUDFRONT = {
    "CloudFront": "domain",
    "CloudFront, ecs": "plain",
    "CloudFront, signing in": "signing in",
}
# Each with other addresses, so that production and test listener, restricted in other ways, are told apart.
CASES = ("dev", "prod", "ecs", "rolling", "many networks", "signing in", *BEHIND_CLOUDFRONT)
OFFICE = ("203.0.113.0/24", "198.51.100.7/32")
MANY = tuple(f"203.0.113.{number}/32" for number in range(9))


def environment_of(case: str) -> settings.Environment:
    if case in BEHIND_CLOUDFRONT:
        return cdn.of(BEHIND_CLOUDFRONT[case])
    base = settings.load(case if case in ("dev", "prod") else "prod")
    access = base.access.model_copy(update={"admin_cidrs": MANY if case == "many networks" else OFFICE})
    changes: dict[str, object] = {"access": access}
    if case in ("ecs", "rolling", "signing in"):
        controller = "ecs" if case == "ecs" else "rolling"
        changes["release"] = base.release.model_copy(update={"controller": controller})
    if case == "signing in":
        changes["access"] = access.model_copy(update={"oidc": cdn.OIDC})
    return base if case in ("dev", "prod") else base.model_copy(update=changes)


class Case:
    """One environment, its listeners by their part, and who may reach the administration through each."""

    def __init__(self, case: str, template: Template, function: ViewerFunction | None = None) -> None:
        self.environment = environment_of(case)
        self.employee = frozenset(
            group for group, found in Blueprint(template).groups.items() if found.service == "employee"
        )
        self.customer = frozenset(of_type(template, TARGET_GROUP)) - self.employee
        production, test = (443, 8443) if self.environment.tls else (80, 8080)
        found = listeners(template)
        # CloudFront redirects by itself.
        redirect = {80} if self.environment.tls and not self.environment.cdn else set()
        assert set(found) == {production, test} | redirect
        self.production: Listener | ThroughCloudFront = found[production]
        if function is not None:
            self.production = ThroughCloudFront(found[production], function)
        self.test = found[test]
        self.redirect = found[80] if redirect else None
        self.allowed: Sequence[tuple[Listener | ThroughCloudFront, tuple[str, ...]]] = (
            (self.production, self.environment.admin_cidrs),
            (self.test, self.environment.test_admin_cidrs),
        )


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, templates: Synthesize, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    name = request.param
    if name in BEHIND_CLOUDFRONT:
        compute = cdn.templates(BEHIND_CLOUDFRONT[name]).platform
        function = ViewerFunction(only(of_type(compute, "AWS::CloudFront::Function"))["FunctionCode"])
        return Case(name, compute, function)
    if name in ("dev", "prod"):
        return Case(name, templates(name).platform)
    return Case(name, synthesize(environment_of(name), tmp_path_factory.mktemp("case")).platform)


def inside(address: str, networks: Iterable[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in networks)


ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    # Near the edges of what is allowed.
    st.sampled_from(
        ("203.0.112.255", "203.0.114.0", "198.51.100.6", "198.51.100.8", "9.255.255.255", "10.1.0.0")
    ),
    st.sampled_from(("203.0.113.0", "203.0.113.255", "198.51.100.7", "10.0.0.1", "127.0.0.1")),
    st.ip_addresses(v=6).map(str),
)


def decisions(listener: Listener | ThroughCloudFront, path: str, source: str) -> tuple[Decision, Decision]:
    """Of a load balancer that matches paths as they are written, and of one that cleans them up before."""
    return listener.decide(path, source), listener.decide(normalized(path), source)


@examples(deadline=None)
@given(path=spellings(), source=ADDRESSES)
def test_only_named_networks_reach_the_administration_however_it_is_spelled(
    case: Case, path: str, source: str
) -> None:
    for listener, networks in case.allowed:
        for decision in decisions(listener, path, source):
            if not inside(source, networks):
                assert not decision.groups & case.employee, (path, source)


@examples(deadline=None)
@given(path=st.text(min_size=1, max_size=60).map(lambda text: "/" + text), source=ADDRESSES)
def test_only_named_networks_reach_the_administration_by_any_path(case: Case, path: str, source: str) -> None:
    for listener, networks in case.allowed:
        for decision in decisions(listener, path, source):
            if not inside(source, networks):
                assert not decision.groups & case.employee, (path, source)


@examples(deadline=None)
@given(path=st.one_of(spellings(), st.just("/suppliers")), source=ADDRESSES)
def test_the_redirecting_listener_forwards_nothing(case: Case, path: str, source: str) -> None:
    if case.redirect is not None:
        for decision in decisions(case.redirect, path, source):
            assert decision == Decision("redirect", frozenset())


@pytest.mark.parametrize("path", ADMINISTRATION)
def test_from_elsewhere_the_administration_is_answered_403_and_from_named_networks_by_employee(
    case: Case, path: str
) -> None:
    for listener, networks in case.allowed:
        assert listener.decide(path, "8.8.8.8") == Decision("fixed-response", frozenset(), "403")
        for network in networks:
            decision = listener.decide(path, str(ipaddress.ip_network(network)[0]))
            assert decision.groups
            assert decision.groups <= case.employee
            signing_in = case.environment.access.oidc is not None
            assert decision.kind == ("authenticate-oidc" if signing_in else "forward")


@pytest.mark.parametrize(
    "path",
    [
        "/Admin",
        "/ADMIN/suppliers",
        "//admin/suppliers",
        "/%61dmin",
        "/admin%2Fsuppliers",
        "/adminx",
        "/admin;x",
    ],
)
def test_a_spelling_that_no_rule_of_the_administration_takes_is_left_to_customer(
    case: Case, path: str
) -> None:
    for listener, networks in case.allowed:
        for source in ("8.8.8.8", str(ipaddress.ip_network(networks[0])[0])):
            decision = listener.decide(path, source)
            assert decision.groups
            assert decision.groups <= case.customer


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//admin//suppliers", "/admin/suppliers"),
        ("/%61dmin/", "/admin"),
        ("/x/../admin?y", "/admin"),
        ("/admin%2Fsuppliers", "/admin/suppliers"),
    ],
)
def test_paths_are_cleaned_up_as_a_load_balancer_might(path: str, clean: str) -> None:
    assert normalized(path) == clean


def test_a_rule_without_its_networks_would_be_found(templates: Synthesize) -> None:
    case = Case("prod", templates("prod").platform)
    assert case.production.decide("/admin", "8.8.8.8").groups == frozenset()
    open_rules = [
        {**rule, "Conditions": [each for each in rule.get("Conditions", ()) if each["Field"] != "source-ip"]}
        for rule in case.production.rules
    ]
    assert Listener(443, open_rules).decide("/admin", "8.8.8.8").groups & case.employee
