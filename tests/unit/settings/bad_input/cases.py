"""Wrong settings, one a line: what is changed where, and what a person must be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.settings.bad_input.documents import REMOVED, Bare

ARN = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
UNKNOWN, MISSING, TEXT, WHOLE, YES_NO = (
    "unknown key; allowed: ",
    "is missing",
    "text",
    "a whole number",
    "true or false",
)
TABLE = "a table"
DEV, PROD, CUSTOMER, EMPLOYEE = (
    "environments/dev.toml",
    "environments/prod.toml",
    "services/customer/service.toml",
    "services/employee/service.toml",
)
BIG = Bare("9" * 5000)
ZONES = ["us-east-1a", "us-east-1b"]

# Path in the file, value, part of the line that is told.
Change = tuple[str, Any, str]

ENVIRONMENT: list[Change] = [
    # missing
    ("region", REMOVED, "region: " + MISSING),
    ("availability_zones", REMOVED, "availability_zones: " + MISSING),
    ("tls", {"domain": "a.example.com"}, "tls.hosted_zone_id: " + MISSING),
    ("tls", {"hosted_zone_id": "Z1"}, "tls.domain: " + MISSING),
    ("delivery.source", "github", "delivery: connection_arn is missing"),
    # unknown
    ("colour", 1, "colour: " + UNKNOWN + "region"),
    ("network.nat_gatewais", 1, "network.nat_gatewais: " + UNKNOWN + "cidr"),
    ("database.size", 1, "database.size: " + UNKNOWN + "instance_class"),
    ("access.cidrs", [], "access.cidrs: " + UNKNOWN + "admin_cidrs"),
    (
        "tls",
        {"domain": "a.example.com", "hosted_zone_id": "Z1", "port": 1},
        "tls.port: " + UNKNOWN + "domain",
    ),
    ("release.speed", 1, "release.speed: " + UNKNOWN + "controller"),
    ("delivery.speed", 1, "delivery.speed: " + UNKNOWN + "source"),
    ("alarms.sms", [], "alarms.sms: " + UNKNOWN + "emails"),
    ("services.barista", {"cpu": 256}, "services.barista: there is no such service; allowed: customer"),
    ("services.customer", {"speed": 1}, "services.customer.speed: " + UNKNOWN + "enabled"),
    (
        "services.customer",
        {"scaling": {"speed": 1}},
        "services.customer.scaling.speed: " + UNKNOWN + "min_tasks",
    ),
    ("name", "prod", "name: is the file's name; remove the key"),
    ("Region", "us-east-1", "Region: " + UNKNOWN),
    ("", 1, "''"),
    ("a\nb", 1, r"'a\nb': " + UNKNOWN),
    ("\u202egnp.exe", 1, r"'\u202egnp': " + UNKNOWN),
    ("x" * 5000, 1, "xxx"),
    # wrong type
    ("region", 1, "region: must be " + TEXT + ", not 1"),
    ("region", ["us-east-1"], "region: must be " + TEXT),
    ("region", Bare("2026-11-22"), "region: must be " + TEXT),
    ("region", Bare("nan"), "region: must be " + TEXT + ", not nan"),
    ("account", 123456789012, "account: must be " + TEXT),
    ("availability_zones", "us-east-1a", "availability_zones: must be a list"),
    ("availability_zones", [1, "us-east-1b"], "availability_zones.0: must be " + TEXT),
    ("availability_zones", {}, "availability_zones: must be a list"),
    ("emulator", 1, "emulator: must be " + YES_NO),
    ("protected", "yes", "protected: must be " + YES_NO + ", not 'yes'"),
    ("network", 1, "network: must be " + TABLE),
    ("network", [], "network: must be " + TABLE),
    ("network.cidr", 10, "network.cidr: must be " + TEXT),
    ("network.nat_gateways", "1", "network.nat_gateways: must be " + WHOLE),
    ("network.nat_gateways", 1.0, "network.nat_gateways: must be " + WHOLE),
    ("network.nat_gateways", True, "network.nat_gateways: must be " + WHOLE),
    ("network.nat_gateways", Bare("inf"), "network.nat_gateways: must be " + WHOLE),
    ("network.flow_logs", "true", "network.flow_logs: must be " + YES_NO),
    ("network.interface_endpoints", 0, "network.interface_endpoints: must be " + YES_NO),
    ("database", "mysql", "database: must be " + TABLE),
    ("database.instance_class", 1, "database.instance_class: must be " + TEXT),
    ("database.multi_az", "no", "database.multi_az: must be " + YES_NO),
    ("database.storage_gib", "20", "database.storage_gib: must be " + WHOLE),
    ("database.backup_days", 7.5, "database.backup_days: must be " + WHOLE),
    ("database.deletion_protection", [], "database.deletion_protection: must be " + YES_NO),
    ("database.cluster", "yes", "database.cluster: must be " + YES_NO),
    ("database.sample_data", {}, "database.sample_data: must be " + YES_NO),
    ("access", True, "access: must be " + TABLE),
    ("access.admin_cidrs", "10.0.0.0/8", "access.admin_cidrs: must be a list"),
    ("access.admin_cidrs", [10], "access.admin_cidrs.0: must be " + TEXT),
    ("access.admin_cidrs", [["10.0.0.0/8"]], "access.admin_cidrs.0: must be " + TEXT),
    ("access.test_traffic_cidrs", {"a": 1}, "access.test_traffic_cidrs: must be a list"),
    ("tls", [], "tls: must be " + TABLE),
    ("tls", {"domain": 1, "hosted_zone_id": "Z1"}, "tls.domain: must be " + TEXT),
    ("release", "codedeploy", "release: must be " + TABLE),
    ("release.controller", 1, "release.controller: must be 'codedeploy', 'ecs' or 'rolling', not 1"),
    ("release.bake_minutes", "5", "release.bake_minutes: must be " + WHOLE),
    ("release.approval", 1, "release.approval: must be " + YES_NO),
    ("delivery", "github", "delivery: must be " + TABLE),
    ("delivery.branch", 1, "delivery.branch: must be " + TEXT),
    ("delivery.repository", 1, "delivery.repository: must be " + TEXT),
    ("delivery.create_repository", "no", "delivery.create_repository: must be " + YES_NO),
    ("alarms", [], "alarms: must be " + TABLE),
    ("alarms.emails", "a@example.com", "alarms.emails: must be a list"),
    ("alarms.emails", [1], "alarms.emails.0: must be " + TEXT),
    ("services", 1, "services: must be tables such as [services.customer]"),
    ("services", [], "services: must be tables such as [services.customer]"),
    ("services.customer", 1, "services.customer: must be a table"),
    ("services.customer", {"scaling": 1}, "services.customer.scaling: must be " + TABLE),
    # out of range or form
    ("region", "", "region: '' does not have the form"),
    ("region", "mars", "region: 'mars' does not have the form"),
    ("region", "US-EAST-1", "region: 'US-EAST-1' does not have the form"),
    ("region", "us-east-1\n", r"region: 'us-east-1\n' does not have the form"),
    ("region", "us-east-١", "region: 'us-east-١' does not have the form"),
    ("region", "a" * 10_000, "does not have the form"),
    ("account", "12345678901", "account: '12345678901' does not have the form"),
    ("account", "١٢٣٤٥٦٧٨٩٠١٢", "account: "),
    ("availability_zones", [], "availability_zones: list must have at least 2 items"),
    ("availability_zones", ["us-east-1a"], "availability_zones: list must have at least 2 items"),
    (
        "availability_zones",
        [f"us-east-1{each}" for each in "abcdefg"],
        "availability_zones: list must have at most 6",
    ),
    (
        "availability_zones",
        ["us-east-1a", "us-east-1\n"],
        r"availability_zones: us-east-1\n are not zones of us-east-1",
    ),
    ("network.cidr", "10.0.0.0/8", "network.cidr: '10.0.0.0/8' must be a private network from /16 to /20"),
    ("network.cidr", "10.0.0.0/24", "network.cidr: '10.0.0.0/24' must be a private network"),
    ("network.cidr", "8.8.0.0/16", "network.cidr: '8.8.0.0/16' must be a private network"),
    ("network.cidr", "10.0.0.1/16", "network.cidr: '10.0.0.1/16' is no CIDR"),
    ("network.cidr", "10.0.0.0/33", "network.cidr: '10.0.0.0/33' is no CIDR"),
    ("network.cidr", "fd00::/16", "network.cidr: 'fd00::/16' is no IPv4 CIDR"),
    ("network.cidr", "", "network.cidr: '' is no CIDR"),
    ("network.nat_gateways", -1, "network.nat_gateways: must be at least 0, not -1"),
    ("network.nat_gateways", 7, "network.nat_gateways: must be at most 6, not 7"),
    ("network.nat_gateways", 10**30, "network.nat_gateways: must be at most 6"),
    (
        "database.instance_class",
        "t4g.small",
        "database.instance_class: 't4g.small' is no database instance class",
    ),
    ("database.instance_class", "db.t4g", "database.instance_class: 'db.t4g' is no"),
    ("database.storage_gib", 19, "database.storage_gib: must be at least 20, not 19"),
    ("database.storage_gib", 65537, "database.storage_gib: must be at most 65536"),
    ("cache.replicas", 6, "cache.replicas: must be at most 5, not 6"),
    (
        "cache.node_type",
        "db.t4g.micro",
        "'db.t4g.micro' is no cache node type; an example is cache.t4g.micro",
    ),
    ("cache.node_type", "cache.r6gd.xlarge", "keeps data on disks too, which a cache of lists does not need"),
    ("database.backup_days", 0, "database.backup_days: must be at least 1, not 0"),
    ("database.backup_days", 36, "database.backup_days: must be at most 35"),
    (
        "access.admin_cidrs",
        ["office"],
        "access.admin_cidrs.0: 'office' is no CIDR; an example is 203.0.113.0/24",
    ),
    ("access.admin_cidrs", ["10.0.0.0/99"], "'10.0.0.0/99' is no CIDR"),
    ("access.admin_cidrs", ["::/0"], "'::/0' is no IPv4 CIDR"),
    ("access.admin_cidrs", ["10.0.0.0\x00/8"], r"'10.0.0.0\x00/8' is no CIDR"),
    (
        "access.admin_cidrs",
        [f"10.{each}.0.0/16" for each in range(21)],
        "access.admin_cidrs: list must have at most 20",
    ),
    ("access.test_traffic_cidrs", ["0.0.0.0/-1"], "'0.0.0.0/-1' is no CIDR"),
    ("tls", {"domain": "localhost", "hosted_zone_id": "Z1"}, "tls.domain: 'localhost' is no domain name"),
    ("tls", {"domain": "https://a.example.com", "hosted_zone_id": "Z1"}, "is no domain name"),
    ("tls", {"domain": "A.example.com", "hosted_zone_id": "Z1"}, "is no domain name"),
    ("tls", {"domain": "-a.example.com", "hosted_zone_id": "Z1"}, "is no domain name"),
    ("tls", {"domain": f"{'a' * 64}.example.com", "hosted_zone_id": "Z1"}, "is no domain name"),
    (
        "tls",
        {"domain": "a.example.com", "hosted_zone_id": "z1"},
        "tls.hosted_zone_id: 'z1' does not have the form",
    ),
    ("release.controller", "magic", "release.controller: must be 'codedeploy', 'ecs' or 'rolling'"),
    ("release.strategy", "fast", "release.strategy: must be 'all-at-once', 'canary' or 'linear'"),
    ("release.bake_minutes", 0, "release.bake_minutes: must be at least 1"),
    ("release.bake_minutes", 1441, "release.bake_minutes: must be at most 1440"),
    ("delivery.source", "svn", "delivery.source: must be 'codecommit' or 'github'"),
    ("delivery.branch", "", "delivery.branch: '' is no branch name"),
    ("delivery.branch", "a..b", "delivery.branch: 'a..b' is no branch name"),
    ("delivery.branch", "-x", "delivery.branch: '-x' is no branch name"),
    ("delivery.branch", "a.lock", "delivery.branch: 'a.lock' is no branch name"),
    ("delivery.branch", "größe", "delivery.branch: 'größe' is no branch name"),
    ("delivery.repository", "a b", "delivery: repository 'a b' is no CodeCommit name"),
    ("delivery.repository", "a.git", "delivery: repository 'a.git' is no CodeCommit name"),
    ("delivery.repository", "x" * 101, "is no CodeCommit name"),
    (
        "waf.count_rules",
        ["Nothing"],
        "waf.count_rules.0: 'Nothing' is no rule of the web ACL; allowed: RateLimit, IpRep",
    ),
    ("waf.count_rules", ["RateLimit/x"], "waf.count_rules.0: 'RateLimit/x' is no rule of the web ACL"),
    ("waf.count_rules", ["Common/"], "waf.count_rules.0: 'Common/' is no rule of the web ACL"),
    ("waf.count_rules", ["Common/a b"], "waf.count_rules.0: 'Common/a b' is no rule of the web ACL"),
    ("waf.count_rules", ["Common", "Common"], "waf.count_rules: 'Common' is there twice; each once"),
    ("alarms.emails", ["nobody"], "alarms.emails.0: 'nobody' is no email address"),
    ("alarms.emails", ["a@b@c.d"], "alarms.emails.0: 'a@b@c.d' is no email address"),
    ("alarms.emails", ["a\x00@example.com"], r"alarms.emails.0: 'a\x00@example.com' is no email address"),
    (
        "alarms.emails",
        [f"a{each}@example.com" for each in range(21)],
        "alarms.emails: list must have at most 20",
    ),
    ("services.customer", {"cpu": 300}, "cpu 300 is not offered by Fargate; allowed: 256, 512"),
    (
        "services.customer",
        {"memory_mib": 1},
        "memory_mib 1 is not offered with cpu 256; allowed: 512, 1024, 2048",
    ),
    (
        "services.customer",
        {"architecture": "mips"},
        "services.customer.architecture: must be 'arm64' or 'x86_64'",
    ),
    # contradictory
    (
        "availability_zones",
        ["eu-west-1a", "us-east-1b"],
        "availability_zones: eu-west-1a are not zones of us-east-1",
    ),
    ("availability_zones", ["us-east-1a", "us-east-1a"], "availability_zones: each zone once"),
    ("region", "eu-west-1", "are not zones of eu-west-1; allowed: eu-west-1a"),
    ("network.nat_gateways", 4, "network.nat_gateways: at most one a zone (3), not 4"),
    ("network.nat_gateways", 0, "network.nat_gateways: 0 leaves the tasks no way to the AWS APIs"),
    (
        "database",
        {"cluster": True, "storage_gib": 400},
        "database: cluster = true is not offered with instance_class 'db.t4g.small'; allowed: db.m5d, db.m6gd",
    ),
    (
        "database",
        {"cluster": True, "storage_gib": 400, "instance_class": "db.m6gd.medium", "max_connections": 100},
        "database.instance_class: 'db.m6gd.medium' is not offered for MySQL 8.4",
    ),
    (
        "database",
        {"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 399},
        "database: cluster = true needs storage_gib from 400 to 24000, not 399",
    ),
    (
        "database",
        {"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 24001},
        "database: cluster = true needs storage_gib from 400 to 24000, not 24001",
    ),
    (
        "database",
        {"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 400, "multi_az": False},
        "database: cluster = true has its standbys in other zones; remove multi_az = false",
    ),
    (
        "database",
        {"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 400, "proxy": True},
        "database: cluster = true is reached by its own addresses; remove proxy",
    ),
    (
        "database",
        {"cluster": True, "instance_class": "db.m6gd.large", "storage_gib": 400, "read_replicas": 1},
        "database: cluster = true has readers already",
    ),
    ("release.bake_minutes", 41, "release.bake_minutes: with controller 'codedeploy' at most 40, not 41"),
    (
        "delivery",
        {"source": "github", "repository": "a/b", "connection_arn": "arn:x"},
        "'arn:x' is no ARN of a connection",
    ),
    (
        "delivery",
        {"source": "github", "repository": "ab", "connection_arn": ARN},
        "'ab' is no GitHub repository",
    ),
    ("delivery", {"connection_arn": ARN}, "delivery: connection_arn is for source = 'github'"),
    (
        "delivery",
        {"source": "github", "repository": "a/b", "connection_arn": ARN, "create_repository": True},
        "create_repository is for source = 'codecommit'",
    ),
    (
        "services",
        {"customer": {"enabled": False}, "employee": {"enabled": False}},
        "services: none is enabled",
    ),
    (
        "services.customer",
        {"priority": 100},
        "services.employee.priority: rule priority 100 is taken by customer",
    ),
    ("services.customer", {"priority": 149}, "rule priority 149 is taken by"),
    ("services.customer", {"database": "none"}, "tables needs database = 'read' or 'write'"),
    ("services.customer", {"migrations": True}, "migrations = true needs database = 'write'"),
    (
        "services.customer",
        {"release_check_paths": ["x"]},
        "release_check_paths.0: 'x' does not have the form",
    ),
    ("services.employee", {"access": "public"}, "a path below /admin is never public"),
    (
        "services.employee",
        {"release_check_paths": ["/suppliers"]},
        "'/suppliers' is none of /admin, /admin/*",
    ),
    ("services.employee", {"scaling": {"min_tasks": 9}}, "min_tasks (9) must not be above max_tasks (4)"),
    # overlapping networks, and what is there twice
    (
        "access.admin_cidrs",
        ["10.0.0.0/8", "10.1.0.0/16"],
        "10.0.0.0/8 and 10.1.0.0/16 overlap; leave the larger one alone",
    ),
    (
        "access.admin_cidrs",
        ["10.1.0.0/16", "192.0.2.0/24", "10.0.0.0/8"],
        "10.1.0.0/16 and 10.0.0.0/8 overlap",
    ),
    ("access.admin_cidrs", ["192.0.2.1", "192.0.2.1/32"], "192.0.2.1/32 and 192.0.2.1/32 overlap"),
    ("access.test_traffic_cidrs", ["0.0.0.0/0", "192.0.2.0/24"], "0.0.0.0/0 and 192.0.2.0/24 overlap"),
    ("alarms.emails", ["a@example.com", "A@example.com"], "'a@example.com' is there twice; each once"),
    # huge and deep
    ("network.nat_gateways", BIG, "is not TOML"),
    ("region", "x" * 300_000, "is larger than 256 KiB"),
    ("x", [[[[[[[[1]]]]]]]], "x: " + UNKNOWN),
    ("x", Bare("[" * 60_000 + "]" * 60_000), "is not TOML: it nests too deeply"),
    ("access.admin_cidrs", ["10.0.0.0/8"] * 10_000, "access.admin_cidrs: list must have at most 20"),
]

MANIFEST: list[Change] = [
    ("path_patterns", REMOVED, "path_patterns: " + MISSING),
    ("priority", REMOVED, "priority: " + MISSING),
    ("cpus", 1, "cpus: " + UNKNOWN + "enabled"),
    ("scaling.speed", 1, "scaling.speed: " + UNKNOWN + "min_tasks"),
    ("name", "other", "name: is the folder's name; remove the key"),
    ("path_patterns", "/*", "path_patterns: must be a list"),
    ("path_patterns", [], "path_patterns: list must have at least 1 item"),
    ("path_patterns", ["/a", "/b", "/c", "/d", "/e"], "path_patterns: list must have at most 4"),
    (
        "path_patterns",
        ["/a/*/b/*", "/c/*/d/*", "/e/*/f/*", "/g*/*?"],
        "path_patterns: 9 wildcards (* and ?) are more than a rule of a load balancer may have, which is 5",
    ),
    ("path_patterns", ["/a/*", "/b/*", "/c/*", "/d/*/??"], "path_patterns: 6 wildcards (* and ?) are more"),
    ("path_patterns", ["suppliers"], "path_patterns.0: 'suppliers' is no path pattern; it starts with /"),
    ("path_patterns", ["/a[b]"], "path_patterns.0: '/a[b]' is no path pattern"),
    ("path_patterns", ["/a b"], "path_patterns.0: '/a b' is no path pattern"),
    ("path_patterns", ["/ä"], "path_patterns.0: '/ä' is no path pattern"),
    ("path_patterns", ["/" + "x" * 128], "is no path pattern"),
    ("path_patterns", ["/a\n"], r"'/a\n' is no path pattern"),
    ("path_patterns", ["/a", "/a"], "path_patterns: '/a' is there twice; each once"),
    ("path_patterns", [1], "path_patterns.0: must be " + TEXT),
    ("priority", "200", "priority: must be " + WHOLE),
    ("priority", 0, "priority: must be at least 1"),
    ("priority", 49_001, "priority: must be at most 49000"),
    (
        "priority",
        Bare("0x1_0000_0000_0000_0000_0000"),
        "priority: must be at most 49000",
    ),
    ("enabled", "no", "enabled: must be " + YES_NO),
    ("access", "everybody", "access: must be 'public' or 'admin'"),
    ("container_port", 80, "container_port: must be at least 1024"),
    ("container_port", 65536, "container_port: must be at most 65535"),
    ("cpu", "256", "cpu: must be " + WHOLE),
    ("cpu", 128, "cpu 128 is not offered by Fargate"),
    ("memory_mib", 4096, "memory_mib 4096 is not offered with cpu 256"),
    ("architecture", "amd64", "architecture: must be 'arm64' or 'x86_64'"),
    ("health_check_path", "", "health_check_path: '' does not have the form"),
    ("health_check_path", "suppliers", "health_check_path: 'suppliers' does not have the form"),
    ("health_check_path", "/a b", "health_check_path: '/a b' does not have the form"),
    ("health_check_path", "/" + "x" * 2000, "health_check_path: "),
    (
        "health_check_grace_seconds",
        7201,
        "health_check_grace_seconds: must be at most 7200",
    ),
    ("release_check_paths", ["/", "/"], "release_check_paths: '/' is there twice"),
    (
        "release_check_paths",
        [f"/{each}" for each in range(11)],
        "release_check_paths: list must have at most 10",
    ),
    ("release_check_paths", "/", "release_check_paths: must be a list"),
    ("database", "admin", "database: must be 'none', 'read' or 'write'"),
    ("database", True, "database: must be 'none', 'read' or 'write'"),
    ("tables", ["Suppliers"], "tables.0: 'Suppliers' does not have the form"),
    ("tables", ["a; DROP TABLE suppliers"], "tables.0: "),
    ("tables", ["suppliers", "suppliers"], "tables: 'suppliers' is there twice"),
    ("migrations", "yes", "migrations: must be " + YES_NO),
    ("scaling", [], "scaling: must be " + TABLE),
    ("scaling.min_tasks", 0, "scaling.min_tasks: must be at least 1"),
    ("scaling.max_tasks", 1001, "scaling.max_tasks: must be at most 1000"),
    ("scaling.max_tasks", 1, "scaling: min_tasks (2) must not be above max_tasks (1)"),
    (
        "scaling.target_cpu_percent",
        95,
        "scaling.target_cpu_percent: must be at most 90",
    ),
    ("scaling.target_cpu_percent", 90, "must hold, not 30, 90, 70"),
    ("scaling.step_in_cpu_percent", 60, "must hold, not 60, 50, 70"),
    ("scaling.cooldown_seconds", -1, "scaling.cooldown_seconds: must be at least 0"),
    ("scaling.cooldown_seconds", 300.5, "scaling.cooldown_seconds: must be " + WHOLE),
]


def _content(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere"))


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


# What is no settings file at all.
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (_content(b""), MISSING),
    "a comment alone": (_content(b"# nothing\n"), MISSING),
    "no TOML": (_content(b"region: us-east-1\n"), "is not TOML: Expected '=' after a key"),
    "JSON": (_content(b'{"region": "us-east-1"}'), "is not TOML: Invalid statement"),
    "XML": (_content(b"<?xml version='1.0'?><region/>"), "is not TOML: Invalid statement"),
    "a value left out": (_content(b"region =\n"), "is not TOML: Invalid value (at line 1"),
    "a key twice": (_content(b"priority = 1\npriority = 2\n"), "is not TOML: Cannot overwrite a value"),
    "a table twice": (_content(b"[scaling]\n[scaling]\n"), "is not TOML: Cannot declare"),
    "an open string": (_content(b'region = "us-east-1\n'), "is not TOML: "),
    "an open list": (_content(b"x = [1,\n"), "is not TOML: "),
    "no such day": (_content(b"x = 2026-02-30\n"), "is not TOML: "),
    "a conflict of git": (_content(b"<<<<<<< HEAD\nregion = 1\n"), "is not TOML: Invalid statement"),
    "Latin-1": (_content("# Münster\n".encode("latin-1")), "is not UTF-8 text (byte 3); save it as UTF-8"),
    "UTF-16": (_content('region = "x"'.encode("utf-16")), "is not UTF-8 text (byte 0)"),
    "half a character": (_content("# ☕".encode()[:-1]), "is not UTF-8 text (byte 2)"),
    "a surrogate": (_content(b"# \xed\xa0\x80"), "is not UTF-8 text (byte 2)"),
    "a byte order mark": (_content(b'\xef\xbb\xbfregion = "us-east-1"\n'), "begins with a byte order mark"),
    "NUL": (_content(b'region = "us\x00east"\n'), "is not TOML: "),
    "only NUL": (_content(bytes(1000)), "is not TOML: "),
    "an image": (_content(b"\x89PNG\r\n\x1a\n\x00\x00"), "is not UTF-8 text (byte 0)"),
    "compressed": (_content(b"\x1f\x8b\x08\x00\x00\x00"), "is not UTF-8 text (byte 1)"),
    "old line ends": (_content(b'region = "us-east-1"\rx = 1'), "is not TOML: "),
    "ten megabytes": (_content(b"# " + b"x" * 10_000_000), "is larger than 256 KiB"),
    "thousands of keys": (_content(b"".join(b"k%d = 1\n" % each for each in range(9000))), "k0: " + UNKNOWN),
    "lists in lists": (_content(b"x = " + b"[" * 50_000), "is not TOML: it nests too deeply"),
    "tables in tables": (_content(b"x = " + b"{a = " * 30_000), "is not TOML: it nests too deeply"),
    "a long number": (_content(b"x = " + b"1" * 5000), "is not TOML: "),
    "a folder": (_folder, "is no file"),
    "a link to itself": (_loop, "cannot be read: Too many levels of symbolic links"),
    "a link to nothing": (_dangling, "cannot be read: No such file or directory"),
    "a pipe": (_pipe, "is no file"),
    "a device": (_device, "is no file"),
}
