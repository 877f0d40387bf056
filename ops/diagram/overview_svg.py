"""Drawing the overview: the VPC with its zones and tiers on the left, what stands beside it on the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops.diagram.kinds import COMPUTE, DATA, DELIVERY, NETWORK, PLAIN, SECURITY, WATCHING, counted
from ops.diagram.overview import Overview, Service
from ops.diagram.svg import INK, MUTED, Box, Canvas, width_of

_BLUE, _GREEN = "#d5e6fb", "#d8efd3"
_TIER_FILLS = {"Public": "#f4effa", "Application": "#fdf3ec", "Data": "#edf2fb"}
_WIDTH, _MARGIN = 1280, 24
_VPC_RIGHT = 880
_GUTTER = 112
_SERVICE_HEIGHT = 136
_GAP = 14

_WATCHING = {
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::CompositeAlarm": "composite alarm",
    "AWS::Synthetics::Canary": "canary",
    "AWS::SNS::Topic": "topic",
    "AWS::Budgets::Budget": "budget",
    "AWS::Logs::LogGroup": "log group",
    "AWS::EC2::FlowLog": "flow log of the VPC",
}
_CACHE = {
    "AWS::ElastiCache::ReplicationGroup": "Valkey cache",
    "AWS::ElastiCache::User": "user by role",
}
_SECRETS = {
    "AWS::KMS::Key": "customer key",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::SecretsManager::RotationSchedule": "rotation",
    "AWS::CertificateManager::Certificate": "certificate",
}
_OPERATIONS = {
    "Custom::OneOffTask": "database migration on deployment",
    "Custom::CodeDeployRelease": "release on deployment",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "scaling policy",
    "AWS::Backup::BackupPlan": "backup plan",
}


@dataclass
class _Picture:
    overview: Overview
    canvas: Canvas

    @property
    def zones(self) -> Box:
        """The part of the VPC that the zones divide."""
        return Box(_MARGIN + _GUTTER, 0, _VPC_RIGHT - _MARGIN - _GUTTER - 12, 0)

    def zone(self, index: int) -> Box:
        """The column of a zone."""
        width = self.zones.width / max(len(self.overview.zones), 1)
        return Box(self.zones.x + index * width, 0, width, 0)


# What CloudFront takes between those who come and the VPC.
_EDGE_HEIGHT = 62


def draw(overview: Overview) -> str:
    """The overview as SVG."""
    picture = _Picture(overview, Canvas(f"{overview.environment}: architecture"))
    canvas = picture.canvas
    canvas.text(_MARGIN, 36, f"suppliers, {overview.environment}", size=22, bold=True)
    canvas.text(
        _MARGIN, 57, f"{overview.region}, {len(overview.zones)} availability zones", size=13, colour=MUTED
    )
    top = 150 + (_EDGE_HEIGHT if overview.edge else 0)
    heights = {tier.name: _tier_height(overview, tier.name) for tier in overview.tiers}
    bottom = top + 62 + sum(heights.values()) + _GAP * len(heights)
    canvas.box(Box(_MARGIN, top, _VPC_RIGHT - _MARGIN, bottom - top), stroke=NETWORK, radius=12, thick=1.6)
    canvas.badge(_MARGIN + 12, top + 12, "VPC", NETWORK)
    canvas.text(_MARGIN + 46, top + 30, overview.vpc, size=13, bold=True)
    y: float = top + 62
    bands = {}
    for tier in overview.tiers:
        bands[tier.name] = Box(_MARGIN + 12, y, _VPC_RIGHT - _MARGIN - 24, heights[tier.name])
        y += heights[tier.name] + _GAP
        _band(picture, tier.name, bands[tier.name])
    _zones(picture, top, bottom)
    entrance = _entrance(picture, bands.get("Public"))
    services = _services(picture, bands.get("Application"))
    database = _database(picture, bands.get("Data"))
    _arrows(picture, entrance, services, database)
    _actors(picture, entrance, top)
    end = _side(picture, top, bands.get("Application"))
    return canvas.svg(_WIDTH, max(bottom, end) + _MARGIN)


def _tier_height(overview: Overview, tier: str) -> float:
    if tier == "Public":
        return 104 + (52 if overview.nat_zones else 12)
    if tier == "Application":
        rows = -(-len(overview.services) // 2)
        return 34 + rows * (_SERVICE_HEIGHT + _GAP) + 30
    return 132 if tier == "Data" else 60


def _band(picture: _Picture, name: str, band: Box) -> None:
    picture.canvas.box(band, fill=_TIER_FILLS.get(name, "#f3f5f7"), stroke="none", radius=8)
    picture.canvas.text(band.x + 12, band.y + 24, name, size=13, bold=True)
    picture.canvas.text(band.x + 12, band.y + 41, "subnets", size=12, colour=MUTED)


def _zones(picture: _Picture, top: float, bottom: float) -> None:
    for index, zone in enumerate(picture.overview.zones):
        column = picture.zone(index)
        box = Box(column.x + 5, top + 36, column.width - 10, bottom - top - 46)
        picture.canvas.box(box, fill="none", dashed=True, radius=8)
        picture.canvas.text(column.middle, top + 53, zone, size=12, colour=MUTED, anchor="middle")


def _entrance(picture: _Picture, band: Box | None) -> Box | None:
    overview, canvas = picture.overview, picture.canvas
    if band is None:
        return None
    box = None
    if overview.load_balancer is not None:
        box = Box(picture.zones.x + 14, band.y + 14, picture.zones.width - 28, 82)
        canvas.box(box, stroke=NETWORK, thick=1.5)
        canvas.badge(box.x + 10, box.y + 10, "ALB", NETWORK)
        inside = "internal, in the application subnets" if overview.edge else "internal"
        kind = "internet-facing" if overview.public else inside
        canvas.text(box.x + 46, box.y + 28, "Application Load Balancer", size=14, bold=True)
        x = box.x + 46 + width_of("Application Load Balancer", 14, bold=True) + 10
        canvas.text(
            x,
            box.y + 28,
            f"{overview.load_balancer}, {kind}",
            size=12,
            colour=MUTED,
            width=box.right - x - (20 if overview.edge else 130),
        )
        if not overview.edge:
            _firewall(picture, box)
        x = box.x + 12
        for listener in overview.listeners:
            name = f", {listener.name}" if listener.name else ""
            fill = _BLUE if listener.name == "production" else "#eceff2"
            x += (
                canvas.chip(x, box.y + 50, f"{listener.protocol} {listener.port}{name}", fill=fill, size=12)
                + 10
            )
    for card in _nat_cards(picture, band):
        canvas.box(card, stroke=NETWORK)
        canvas.badge(card.x + 7, card.y + 6, "NAT", NETWORK, side=24)
        canvas.text(card.x + 40, card.y + 23, "NAT gateway", size=12, width=card.width - 44)
    return box


def _firewall(picture: _Picture, box: Box) -> None:
    rules = picture.overview.firewall_rules
    if rules is not None:
        text = f"web ACL, {counted(rules, 'rule')}"
        right = box.right - width_of(text, 11) - 28
        picture.canvas.chip(right, box.y + 12, text, fill="#f8dde1", colour=SECURITY)


def _nat_cards(picture: _Picture, band: Box) -> list[Box]:
    zones = (picture.zone(picture.overview.zones.index(zone)) for zone in picture.overview.nat_zones)
    return [Box(zone.x + 14, band.bottom - 48, min(136, zone.width - 24), 36) for zone in zones]


def _free_of(box: Box, obstacles: list[tuple[float, float]]) -> float:
    """Where a line may come down to a box: nearest its middle, but through no obstacle."""
    candidates = sorted(range(int(box.x) + 20, int(box.right) - 20, 4), key=lambda x: abs(x - box.middle))
    clear = (x for x in candidates if not any(start - 10 < x < end + 10 for start, end in obstacles))
    return next(clear, box.middle)


def _services(picture: _Picture, band: Box | None) -> list[Box]:
    overview, canvas = picture.overview, picture.canvas
    if band is None:
        return []
    columns = min(2, max(len(overview.services), 1))
    width = (picture.zones.width - 28 - (columns - 1) * _GAP) / columns
    boxes = []
    for index, service in enumerate(overview.services):
        row, column = divmod(index, columns)
        box = Box(
            picture.zones.x + 14 + column * (width + _GAP),
            band.y + 34 + row * (_SERVICE_HEIGHT + _GAP),
            width,
            _SERVICE_HEIGHT,
        )
        _service(canvas, service, box)
        boxes.append(box)
    notes = []
    if overview.interface_endpoints:
        notes.append(
            f"{counted(len(overview.interface_endpoints), 'interface endpoint')}: {', '.join(overview.interface_endpoints)}"
        )
    if overview.gateway_endpoints:
        notes.append(f"gateway endpoint: {', '.join(overview.gateway_endpoints)}")
    # At the right: the lines to the database run on the left.
    right = picture.zones.right - 14
    canvas.text(
        right,
        band.bottom - 12,
        "; ".join(notes),
        size=12,
        colour=MUTED,
        anchor="end",
        width=picture.zones.width / 2 - 20,
    )
    return boxes


def _service(canvas: Canvas, service: Service, box: Box) -> None:
    canvas.box(box, stroke=COMPUTE, thick=1.5)
    canvas.badge(box.x + 10, box.y + 10, "ECS", COMPUTE)
    canvas.text(box.x + 46, box.y + 28, service.name, size=15, bold=True)
    x = box.x + 46 + width_of(service.name, 15, bold=True) + 10
    canvas.text(x, box.y + 28, ", ".join(service.paths), size=12, colour=MUTED, width=box.right - x - 8)
    tasks = (
        f"{service.least} to {service.most} tasks"
        if service.most > service.least
        else f"{service.least} tasks"
    )
    sides = service.sides or ("tasks",)
    width = (box.width - 20 - (len(sides) - 1) * 10) / len(sides)
    for index, side in enumerate(sides):
        half = Box(box.x + 10 + index * (width + 10), box.y + 46, width, 42)
        canvas.box(half, fill=_GREEN if side == "green" else _BLUE, stroke="none", radius=6)
        canvas.text(half.middle, half.y + 18, side, size=13, bold=True, anchor="middle")
        note = tasks if index == 0 else "the next release"
        canvas.text(half.middle, half.y + 34, note, size=11, colour=MUTED, anchor="middle", width=width - 8)
    spot = ", some on spot" if service.spot else ""
    facts = f"each {service.vcpu}, {service.memory}, {service.architecture}{spot}"
    release = f"released by {service.controller}"
    canvas.text(box.x + 12, box.y + 107, facts, size=12, colour=MUTED, width=box.width - 54)
    if service.database:
        canvas.badge(box.right - 34, box.bottom - 36, "RDS", DATA, side=24)
    canvas.text(box.x + 12, box.y + 125, release, size=12, colour=MUTED, width=box.width - 24)


def _database(picture: _Picture, band: Box | None) -> Box | None:
    overview, canvas = picture.overview, picture.canvas
    if band is None or overview.database is None:
        return None
    database = overview.database
    # Which zones it takes is decided by AWS: the first ones stand for them.
    first = picture.zone(0)
    box = Box(first.x + 14, band.y + 16, max(first.width - 28, 190), 100)
    canvas.box(box, stroke=DATA, thick=1.5)
    canvas.badge(box.x + 10, box.y + 10, "RDS", DATA)
    canvas.text(box.x + 46, box.y + 28, database.engine, size=14, bold=True, width=box.width - 54)
    facts = (
        f"{database.size}, {database.storage_gib} GB",
        f"backups of {database.backup_days} days{', behind a proxy' if database.proxy else ''}",
        f"{'' if database.encrypted else 'not '}encrypted{', TLS only' if database.tls_only else ''}",
    )
    for index, line in enumerate(facts):
        canvas.text(box.x + 12, box.y + 53 + 17 * index, line, size=12, colour=MUTED, width=box.width - 20)
    copies = [
        *([("Standby", "in another zone")] if database.standby else []),
        *([("Standby", "is read as well")] * database.readable_standbys),
        *([("Read replica", "follows, is only read")] if database.replica else []),
    ]
    previous = box
    for number, (title, text) in enumerate(copies, start=1):
        zone = picture.zone(min(number, len(overview.zones) - 1))
        x = max(zone.x + 34, previous.right + 36)
        other = Box(x, band.y + 34, max(zone.right - 14 - x, 150), 64)
        canvas.box(other, stroke=DATA, dashed=True)
        canvas.badge(other.x + 10, other.y + 10, "RDS", DATA)
        canvas.text(other.x + 46, other.y + 28, title, size=14, bold=True, width=other.width - 54)
        canvas.text(other.x + 12, other.y + 52, text, size=12, colour=MUTED, width=other.width - 20)
        if previous is box:
            y = other.y + 32
            canvas.arrow([(box.right + 2, y), (other.x - 2, y)], colour=DATA)
        else:
            # From the instance too, below what stands between.
            y = box.bottom - 8
            points = [(box.right + 2, y), (other.middle, y), (other.middle, other.bottom + 2)]
            canvas.arrow(points, colour=DATA)
        previous = other
    return box


def _arrows(picture: _Picture, entrance: Box | None, services: list[Box], database: Box | None) -> None:
    if entrance is not None:
        public = Box(entrance.x, entrance.y, entrance.width, 0)
        obstacles = [(card.x, card.right) for card in _nat_cards(picture, public)]
        obstacles += [
            (zone.x - 4, zone.x + 4) for zone in map(picture.zone, range(len(picture.overview.zones)))
        ]
        for box in services[:2]:
            x = _free_of(box, obstacles)
            picture.canvas.arrow([(x, entrance.bottom + 2), (x, box.y - 2)], colour=NETWORK)
        for box in services[2:]:
            # Between the columns of the rows above.
            gap, above = services[0].right + _GAP / 2, box.y - _GAP / 2 - 3
            points = [(gap, entrance.bottom + 2), (gap, above), (box.middle, above), (box.middle, box.y - 2)]
            picture.canvas.arrow(points, colour=NETWORK)
    if database is None or not services:
        return
    row = len(services) - (2 - len(services) % 2)
    last = [
        box
        for box, service in zip(services[row:], picture.overview.services[row:], strict=True)
        if service.database
    ]
    for index, box in enumerate(last):
        x = database.x + database.width * (0.35 + 0.3 * index)
        middle = box.bottom + 30 + 8 * index
        start = box.x + 30 if index else max(box.x + 30, x)
        points = [(start, box.bottom + 2), (start, middle), (x, middle), (x, database.y - 2)]
        picture.canvas.arrow([points[0], points[-1]] if start == x else points, colour=DATA)


def _actors(picture: _Picture, entrance: Box | None, top: float) -> None:
    overview, canvas = picture.overview, picture.canvas
    if entrance is None:
        return
    where = overview.domain or ("CloudFront's name" if overview.edge else "the load balancer's name")
    actors = [("The public", where)] if overview.public or overview.edge else []
    if any(service.restricted for service in overview.services):
        paths = ", ".join(path for each in overview.services if each.restricted for path in each.paths[:1])
        actors.append(("Employees", f"{paths} from named networks"))
    if any(listener.name == "test" for listener in overview.listeners):
        actors.append(("Release check", "test listener, from inside"))
    width = entrance.width / max(len(actors), 1)
    above = top - 70 - (_EDGE_HEIGHT if overview.edge else 0)
    through = len(actors) - any(listener.name == "test" for listener in overview.listeners)
    edge = Box(entrance.x + 8, top - _EDGE_HEIGHT, through * width - 16, 44)
    if overview.edge:
        canvas.box(edge, stroke=NETWORK, thick=1.5)
        canvas.badge(edge.x + 10, edge.y + 9, "CF", NETWORK)
        canvas.text(edge.x + 46, edge.y + 27, "CloudFront", size=14, bold=True)
        _firewall(picture, edge)
        canvas.arrow([(edge.middle, edge.bottom + 2), (edge.middle, entrance.y - 2)], colour=NETWORK)
    for index, (name, note) in enumerate(actors):
        card = Box(entrance.x + index * width + 8, above, width - 16, 46)
        canvas.box(card, fill="#f7f8f9", radius=22)
        canvas.text(card.middle, card.y + 20, name, size=14, bold=True, anchor="middle")
        canvas.text(
            card.middle, card.y + 37, note, size=11, colour=MUTED, anchor="middle", width=card.width - 24
        )
        canvas.arrow(
            [
                (card.middle - width * 0.3, card.bottom + 2),
                (
                    card.middle - width * 0.3,
                    (edge if overview.edge and index < through else entrance).y - 2,
                ),
            ],
            colour=INK,
        )


def _side(picture: _Picture, top: float, application: Box | None) -> float:
    """Draw what stands beside the VPC, and answer where it ends."""
    overview, canvas = picture.overview, picture.canvas
    x, width, y = _VPC_RIGHT + 44, _WIDTH - _VPC_RIGHT - 44 - _MARGIN, top
    if overview.pipelines:
        y = _delivery(canvas, overview, Box(x, top - 70, width, 0), application)
    for title, badge, colour, lines in _cards(overview):
        box = Box(x, y, width, 46 + 19 * len(lines))
        canvas.box(box, stroke=colour, thick=1.3)
        canvas.badge(box.x + 10, box.y + 9, badge, colour)
        canvas.text(box.x + 46, box.y + 27, title, size=14, bold=True)
        for index, line in enumerate(lines):
            canvas.text(box.x + 14, box.y + 55 + 19 * index, line, size=12, colour=MUTED, width=width - 24)
        y = box.bottom + _GAP
    return y - _GAP


def _delivery(canvas: Canvas, overview: Overview, at: Box, application: Box | None) -> float:
    box = Box(at.x, at.y, at.width, 96 + 46 * len(overview.pipelines))
    canvas.box(box, stroke=DELIVERY, thick=1.5)
    canvas.badge(box.x + 10, box.y + 10, "CP", DELIVERY)
    canvas.text(box.x + 46, box.y + 28, "Delivery", size=14, bold=True)
    count = overview.counts.get("AWS::ECR::Repository", 0)
    canvas.text(
        box.x + 14,
        box.y + 56,
        f"A push to {overview.sources or 'the repository'}",
        size=12,
        width=box.width - 24,
    )
    for index, pipeline in enumerate(overview.pipelines):
        y = box.y + 82 + 46 * index
        canvas.text(box.x + 14, y, pipeline.name, size=12, bold=True, width=box.width - 24)
        x = box.x + 12
        for stage in pipeline.stages:
            size = 11 if len(pipeline.stages) < 5 else 10
            x += canvas.chip(x, y + 7, stage, fill="#dcebf0", colour=INK, size=size) + 5
    canvas.text(
        box.x + 14,
        box.bottom - 10,
        f"images in {counted(count, 'repository')}",
        size=12,
        colour=MUTED,
    ) if count else None
    if application is not None:
        y = application.y + 34 + _SERVICE_HEIGHT / 2
        x = box.x - 20
        points = [(box.x - 2, box.bottom - 40), (x, box.bottom - 40), (x, y), (_VPC_RIGHT - 24, y)]
        canvas.arrow(points, colour=DELIVERY)
    return box.bottom + _GAP


def _cards(overview: Overview) -> list[tuple[str, str, str, list[str]]]:
    count = overview.counts

    def lines(named: Mapping[str, str]) -> list[str]:
        return [counted(count[kind], name) for kind, name in named.items() if count.get(kind)]

    groups = [
        ("Watching", "CW", WATCHING, lines(_WATCHING)),
        ("Cache", "EC", DATA, lines(_CACHE)),
        ("Keys and secrets", "KMS", SECURITY, lines(_SECRETS)),
        ("Operations", "\u03bb", PLAIN, lines(_OPERATIONS)),
    ]
    return [group for group in groups if group[3]]
