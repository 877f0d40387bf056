"""The overview as Mermaid, which a page of GitHub draws by itself where it cannot show a picture."""

from __future__ import annotations

from collections.abc import Iterator

from ops.diagram.kinds import counted
from ops.diagram.overview import Overview


def of_overview(overview: Overview) -> str:
    """The way of a request and of a push through an environment."""
    return "\n".join(["flowchart LR", *_overview(overview)])


def _overview(overview: Overview) -> Iterator[str]:
    firewall = (
        [] if overview.firewall_rules is None else [f"web ACL, {counted(overview.firewall_rules, 'rule')}"]
    )
    public = f"public([{_text('The public', overview.domain or '')}])"
    if overview.edge:
        yield f"  {public} --> edge[{_text('CloudFront', *firewall)}]"
        yield "  edge -- VPC origin --> balancer"
        firewall = []
    elif overview.public:
        yield f"  {public} --> balancer"
    yield f"  subgraph vpc[{_text('VPC ' + overview.vpc, ', '.join(overview.zones))}]"
    listeners = [f"{each.protocol} {each.port} {each.name}".strip() for each in overview.listeners]
    if overview.load_balancer:
        yield f"    balancer[{_text('Application Load Balancer', *listeners, *firewall)}]"
    for index, service in enumerate(overview.services):
        tasks = f"{service.least} to {service.most} tasks of {service.vcpu}, {service.memory}"
        yield f"    service{index}[{_text(service.name, tasks, service.controller)}]"
        if overview.load_balancer:
            yield f"    balancer -- {_text(' '.join(service.paths))} --> service{index}"
        if overview.database and service.database:
            yield f"    service{index} --> {'proxy' if overview.database.proxy else 'database'}"
    if overview.database:
        standby = "with a standby in another zone" if overview.database.standby else "in one zone"
        if overview.database.readable_standbys:
            standby = "with two readable standbys"
        replica = "and a read replica" if overview.database.replica else ""
        yield f"    database[({_text(overview.database.engine, overview.database.size, standby, replica)})]"
        if overview.database.proxy:
            yield f"    proxy[{_text('RDS Proxy')}] --> database"
    if overview.nat_zones:
        yield f"    nat[{_text(counted(len(overview.nat_zones), 'NAT gateway'))}]"
    yield "  end"
    if overview.pipelines:
        yield f"  push([{_text('A push', overview.sources or '')}])"
    for index, pipeline in enumerate(overview.pipelines):
        yield f"  push --> pipeline{index}[{_text(pipeline.name, ', '.join(pipeline.stages))}]"
        if index < len(overview.services):
            yield f"  pipeline{index} --> service{index}"


def _text(*lines: str) -> str:
    """Lines as one quoted label; Mermaid writes special characters as entities."""
    return '"' + "<br>".join(line.replace('"', "#quot;") for line in lines if line) + '"'
