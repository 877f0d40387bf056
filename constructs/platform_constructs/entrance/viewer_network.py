"""The request header by which the edge tells the load balancer whether a viewer is on a network of administrators.

Behind CloudFront every request comes from CloudFront, so the load balancer cannot tell viewers by their address. The
edge can: it sets this header on every request, whatever the viewer sent under its name.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from pathlib import Path

HEADER = "x-viewer-network"
ADMIN = "admin"

_CODE = Path(__file__).parents[1] / "handlers" / "viewer_request" / "index.js"


def function_code(admin_cidrs: Sequence[str]) -> str:
    """The code of the CloudFront Function that sets the header, with the networks (IPv4) that it is to know."""
    networks = [ipaddress.IPv4Network(cidr) for cidr in admin_cidrs]
    bounds = [[int(network[0]), int(network[-1])] for network in networks]
    return f"const ADMIN_NETWORKS = {json.dumps(bounds)};\n{_CODE.read_text(encoding='utf-8')}"
