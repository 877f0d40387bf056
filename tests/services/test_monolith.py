"""The application before it was split: one process, and the same answers as the two services give together."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.routing import Request, select_rule
from tests.services.harness import ROOT, SERVICES, MySQLServer, eventually, running

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "recorded_requests.jsonl").read_text(encoding="utf-8").splitlines()
]
TEMPLATES = ROOT / "tests/snapshot/templates/local"
# Made anew for every visitor or answer.
RANDOM = re.compile(r'(name="(?:csrf|request)" value="|csrf=)[\w-]+')
# Of the moment, and of one connection: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
PASSING = {"date", "connection"}


def production_rules() -> list[dict[str, Any]]:
    """The rules of the production listener as the load balancer keeps them, with the service each forwards to."""
    found = []
    stacks = {name: TEMPLATES / f"{name.capitalize()}.json" for name in ("customer", "employee")}
    for service, resource in (
        (name, each)
        for name, file in stacks.items()
        for each in json.loads(file.read_text(encoding="utf-8"))["Resources"].values()
    ):
        if resource["Type"] != "AWS::ElasticLoadBalancingV2::ListenerRule":
            continue
        properties = resource["Properties"]
        if "Production" not in json.dumps(properties["ListenerArn"]):
            continue
        conditions = [
            {
                "Field": each["Field"],
                "Values": each.get("PathPatternConfig", each.get("SourceIpConfig", each)).get("Values"),
            }
            for each in properties["Conditions"]
        ]
        forwards = properties["Actions"][0]["Type"] == "forward"
        found.append(
            {
                "Priority": str(properties["Priority"]),
                "Conditions": conditions,
                "service": service if forwards else None,
            }
        )
    return found


@dataclass
class Front:
    """Sends each request where it belongs, and keeps cookies as one browser does."""

    urls: Mapping[str, str]
    rules: list[dict[str, Any]]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))
    cookies: dict[str, str] = field(default_factory=dict)

    def service(self, path: str) -> str:
        if len(self.urls) == 1:
            return next(iter(self.urls))
        rule = select_rule(
            self.rules, Request("GET", "localhost", path.split("?")[0], {}, {}, source_ip="127.0.0.1")
        )
        assert rule is not None
        assert rule["service"], f"{path} is refused by the load balancer"
        return str(rule["service"])

    def send(self, recorded: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], str]:
        """Status, headers and body, without what is random in them."""
        headers = {"Host": "suppliers.example.com", **recorded.get("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        arguments: dict[str, Any] = {}
        if "form" in recorded:
            token = recorded.get("csrf", self.cookies.get("csrf", ""))
            arguments["data"] = {**recorded["form"], "csrf": token, "request": ""}
        if "json" in recorded:
            arguments["json"] = recorded["json"]
        answer = self.client.request(
            recorded["method"],
            self.urls[self.service(recorded["path"])] + recorded["path"],
            headers=headers,
            **arguments,
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value.strip('"') or "max-age=0" in line.lower():
                del self.cookies[name]
        shown = [
            (name, RANDOM.sub(r"\1*", value))
            for name, value in sorted(answer.headers.multi_items())
            if name not in PASSING
        ]
        return answer.status_code, shown, RANDOM.sub(r"\1*", answer.text)


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def fronts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Front, Front]]:
    """The monolith, and both services behind the load balancer's rules: each with a database of its own."""
    urls, folder = {}, tmp_path_factory.mktemp("fronts")
    for name in ("whole", "split"):
        if request.param == "mysql":
            server: MySQLServer = request.getfixturevalue("mysql")
            server.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            urls[name] = server.url(database=name)
        else:
            urls[name] = f"sqlite:///{folder}/{name}.db"
    # The monolith prepares and fills its database itself: the services get one that it has left.
    with running("monolith", folder / "preparing", environment={"DATABASE_URL": urls["split"]}):
        pass
    with ExitStack() as stack:

        def start(name: str, database: str) -> str:
            return stack.enter_context(
                running(name, folder / f"{name}.log", environment={"DATABASE_URL": urls[database]})
            ).url

        whole = {"monolith": start("monolith", "whole")}
        split = {name: start(name, "split") for name in ("customer", "employee")}
        fronts = Front(whole, []), Front(split, production_rules())
        yield fronts
        for front in fronts:
            front.client.close()


def test_the_recorded_requests_are_two_hundred_and_reach_both_services() -> None:
    sent = [recorded for recorded in RECORDED if "path" in recorded]
    assert len(sent) == 200
    front = Front({"customer": "", "employee": ""}, production_rules())
    assert {front.service(recorded["path"]) for recorded in sent} == {"customer", "employee"}


def test_both_services_together_answer_exactly_as_the_monolith(fronts: tuple[Front, Front]) -> None:
    whole, split = fronts
    statuses = set()
    for number, recorded in enumerate(RECORDED, 1):
        if "pause_seconds" in recorded:
            # Readers may see a list that is most of a second old.
            time.sleep(recorded["pause_seconds"])
            continue
        expected, found = whole.send(recorded), split.send(recorded)
        assert found == expected, f"line {number}: {recorded}"
        statuses.add(expected[0])
    assert statuses >= {200, 201, 204, 303, 304, 400, 403, 404, 405, 409, 422, 428}


def test_only_the_monolith_lets_an_encoded_path_through_to_the_administration(
    fronts: tuple[Front, Front],
) -> None:
    """The one difference, and a gain: a load balancer compares paths as they are sent, and sends this to readers."""
    whole, split = fronts
    request = {"method": "GET", "path": "/%61dmin/suppliers"}
    assert (whole.send(request)[0], split.send(request)[0]) == (200, 404)


def test_it_needs_no_server_and_has_the_sample_suppliers(tmp_path: Path) -> None:
    with running(
        "monolith", tmp_path / "log", environment={"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    ) as service:
        assert service.client.get("/api/suppliers").json()["total"] == 5
        assert service.submit("/admin/supplier-remove/1").status_code == 303
        eventually(lambda: service.client.get("/api/suppliers").json()["total"] == 4)
    with running(
        "monolith", tmp_path / "log", environment={"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    ) as service:
        assert service.client.get("/api/suppliers").json()["total"] == 4


@pytest.mark.parametrize("url", ["nonsense", "mysql://a:b@127.0.0.1:1/x", "sqlite:////nowhere/at/all.db"])
def test_a_database_it_cannot_use_is_told_in_one_line(tmp_path: Path, url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monolith"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{SERVICES}/shared:{SERVICES}/monolith", "DATABASE_URL": url, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("monolith: DATABASE_URL")
