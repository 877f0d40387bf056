"""A visit to the directory as CloudWatch Synthetics makes it: `handler` succeeds, or raises what is wrong.

`visit` is the visit itself and knows nothing of AWS: home and list by every address, then an entry added, seen by
the public, and deleted.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_TIMEOUT_SECONDS = 10.0
# Nobody's: a reserved domain (RFC 2606) and a number for fiction (555-0100 to 555-0199).
ENTRY: Mapping[str, str] = {
    "name": "Canary, deleted at once",
    "address": "1 Example Street",
    "city": "Seattle",
    "state": "Washington",
    "email": "canary@example.com",
    "phone": "(206) 555-0100",
}


class VisitFailed(Exception):
    """The site does not answer as it should; the text says what was asked and what came back."""


@dataclass(frozen=True)
class Site:
    """Where the site is: its name and scheme, and the addresses of its load balancer, one a zone.

    `edge` is the name of what is in front of the load balancer, by HTTPS; empty where nothing is. `headers` are what the
    load balancer takes those by who may administer.
    """

    scheme: str
    host: str
    port: int
    addresses: Sequence[str]
    edge: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def handler(event: Mapping[str, Any], context: object) -> None:
    """One visit; whatever it raises makes the canary's run a failed one."""
    visit(
        Site(
            scheme=os.environ["SCHEME"],
            host=os.environ["HOST"],
            port=int(os.environ["PORT"]),
            addresses=_addresses(os.environ["LOAD_BALANCER"]),
            edge=os.environ.get("EDGE", ""),
            headers=json.loads(os.environ.get("HEADERS", "{}")),
        )
    )


def visit(site: Site) -> None:
    """Home and list as everybody sees them and by every address, then add, look and delete.

    Raises `VisitFailed` at the first thing wrong.
    """
    if site.edge:
        everybody = Site("https", site.edge, 443, (site.edge,))
        for path in ("/", "/suppliers"):
            _ask(everybody, site.edge, "GET", path, 200)
    for address in site.addresses:
        for path in ("/", "/suppliers"):
            _ask(site, address, "GET", path, 200)
    address = site.addresses[0]
    _clear(site, address)
    added = json.loads(_ask(site, address, "POST", "/admin/api/suppliers", 201, ENTRY))
    try:
        seen = json.loads(_ask(site, address, "GET", f"/api/suppliers/{added['id']}", 200))
        if seen["name"] != ENTRY["name"]:
            raise VisitFailed(f"the entry that was added reads {seen['name']!r}")
    finally:
        _ask(site, address, "DELETE", f"/admin/api/suppliers/{added['id']}", 204)
    _ask(site, address, "GET", f"/admin/api/suppliers/{added['id']}", 404)


def _clear(site: Site, address: str) -> None:
    """Delete what an earlier visit, broken off, left behind."""
    path = f"/admin/api/suppliers?q={quote(ENTRY['name'])}"
    for entry in json.loads(_ask(site, address, "GET", path, 200))["items"]:
        if entry["email"] == ENTRY["email"]:
            _ask(site, address, "DELETE", f"/admin/api/suppliers/{entry['id']}", 204)


def _ask(
    site: Site,
    address: str,
    method: str,
    path: str,
    expected: int,
    body: Mapping[str, str] | None = None,
) -> bytes:
    started = time.perf_counter()
    connection = _connection(site, address)
    headers = {
        "Host": site.host,
        "User-Agent": "canary",
        "Content-Type": "application/json",
        **site.headers,
    }
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise VisitFailed(f"{method} {path} by {address}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    seconds = round(time.perf_counter() - started, 3)
    print(json.dumps({"method": method, "path": path, "status": answer.status, "seconds": seconds}))
    if answer.status != expected:
        raise VisitFailed(f"{method} {path} by {address}: {answer.status}, not {expected}")
    return content


def _connection(site: Site, address: str) -> http.client.HTTPConnection:
    if site.scheme == "https":
        return _SecureConnection(address, site.port, site.host)
    return http.client.HTTPConnection(address, site.port, timeout=_TIMEOUT_SECONDS)


class _SecureConnection(http.client.HTTPSConnection):
    """A connection to an address whose certificate is checked for the name of the site."""

    def __init__(self, address: str, port: int, name: str) -> None:
        self._context_for_name = ssl.create_default_context()
        super().__init__(address, port, timeout=_TIMEOUT_SECONDS, context=self._context_for_name)
        self._name = name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context_for_name.wrap_socket(self.sock, server_hostname=self._name)


def _addresses(load_balancer: str) -> list[str]:
    # Here only, so that a visit can be made where there is no boto3.
    import boto3

    # From inside the VPC the load balancer's name leads out through the NAT gateway, to an address that the
    # administration is closed to; its private ones are those of its network interfaces.
    found = boto3.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {load_balancer}"]}]
    )["NetworkInterfaces"]
    addresses = sorted(each["PrivateIpAddress"] for each in found)
    if not addresses:
        raise VisitFailed(f"the load balancer {load_balancer} has no network interface")
    return addresses
