"""What CloudFront does to a request on its way to the load balancer behind it, as far as listener rules can tell.

There is no CloudFront here. A request by the name of such a load balancer is taken for one that came by CloudFront: the
function in front says whether its viewer is on a network of administrators, as on AWS.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping

# The header, and the first line of the function's code, are those of platform_constructs/viewer_network.py, which a test
# holds; the emulator has an environment of its own.
HEADER = "x-viewer-network"
_NETWORKS = re.compile(r"const ADMIN_NETWORKS = (\[.*\]);\n")


def function_of(load_balancer: str) -> str:
    """The name of the function that sees every request to the CloudFront in front of a load balancer."""
    return f"{load_balancer}-viewer-request"


def as_forwarded(headers: Mapping[str, str], source: str, code: str) -> dict[str, str]:
    """The headers as the function leaves them, names in lower case; `source` is the viewer's address."""
    found = _NETWORKS.match(code)
    bounds = json.loads(found[1]) if found else []
    try:
        number = int(ipaddress.IPv4Address(source))
    except ValueError:
        number = -1
    inside = any(first <= number <= last for first, last in bounds)
    return {**headers, HEADER: "admin" if inside else "public"}
