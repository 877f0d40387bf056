from __future__ import annotations

import re
from pathlib import Path

import phonenumbers
import pytest

import settings
from settings.contradictions import contradictions
from settings.facts.phone_regions import PHONE_REGIONS

CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"


def problems_of(project: Path, environment: str = "dev") -> str:
    with pytest.raises(settings.SettingsError) as raised:
        settings.load(environment, project)
    text = str(raised.value)
    assert "Traceback" not in text
    return text


def edit(file: Path, pattern: str, replacement: str) -> None:
    text = file.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text, f"{pattern} is not in {file}"
    file.write_text(changed)


def oidc(**changes: str) -> str:
    """A section that is right but for the changes, in front of [release]."""
    keys = {
        "issuer": "https://login.example.com",
        "authorization_endpoint": "https://login.example.com/authorize",
        "token_endpoint": "https://login.example.com/token",
        "user_info_endpoint": "https://login.example.com/userinfo",
        "client_id": "directory",
        "client_secret_name": "login/directory",
        **changes,
    }
    return "\n".join(["[access.oidc]", *(f'{name} = "{value}"' for name, value in keys.items()), "[release]"])


@pytest.mark.parametrize("name", settings.environment_names())
def test_every_environment_of_the_project_is_valid(name: str) -> None:
    assert settings.load(name).name == name


def test_every_country_whose_numbers_the_services_know_can_be_set_and_no_other() -> None:
    assert set(PHONE_REGIONS.split()) == phonenumbers.SUPPORTED_REGIONS


def test_an_unknown_environment_is_answered_with_those_that_exist() -> None:
    with pytest.raises(settings.SettingsError, match="no environment 'nope'; allowed: dev, local, prod"):
        settings.load("nope")


@pytest.mark.parametrize("name", ["", "../dev", "dev.toml", "DEV", "/etc/passwd"])
def test_an_environment_is_named_by_its_file_alone(name: str) -> None:
    with pytest.raises(settings.SettingsError, match="there is no environment"):
        settings.load(name)


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (
            r"^nat_gateways.*",
            "nat_gatewais = 1",
            r"network.nat_gatewais: unknown key; allowed: cidr, nat_gateways,",
        ),
        (r"^nat_gateways.*", 'nat_gateways = "one"', r"network.nat_gateways: .*whole number, not 'one'"),
        (r"^nat_gateways.*", "nat_gateways = true", r"network.nat_gateways: .*whole number, not True"),
        (r"^nat_gateways.*", "nat_gateways = 7", r"network.nat_gateways: .*at most 6, not 7"),
        (r"^nat_gateways.*", "nat_gateways = 5", r"network.nat_gateways: at most one a zone \(3\), not 5"),
        (r"^nat_gateways.*", "nat_gateways = 0", r"network.nat_gateways: 0 leaves the tasks no way"),
        (r"^region.*", 'region = "mars"', r"region: 'mars' does not have the form"),
        (
            r"^region.*",
            'region = "eu-west-1"',
            r"availability_zones: us-east-1a, .* are not zones of eu-west-1",
        ),
        (r"^region.*", "", r"region: is missing"),
        *(
            (
                r"^region.*",
                f'\\g<0>\nphone_region = "{wrong}"',
                rf"phone_region: '{wrong}' is no country .* US or DE$",
            )
            for wrong in ("USA", "us", "XX", "", "001")
        ),
        (r"^region.*", r"\g<0>\nphone_region = 49", r"phone_region: .*text, not 49"),
        (
            r"^availability_zones.*",
            'availability_zones = ["us-east-1a"]',
            r"availability_zones: .*at least 2",
        ),
        (
            r"^availability_zones.*",
            'availability_zones = ["us-east-1a", "us-east-1a"]',
            r"availability_zones: each zone once",
        ),
        (
            r"^instance_class.*",
            'instance_class = "t4g"',
            r"database.instance_class: 't4g' is no database instance",
        ),
        (r"^storage_gib.*", "storage_gib = 1", r"database.storage_gib: .*at least 20, not 1"),
        (r"^controller.*", 'controller = "magic"', r"release.controller: .*'codedeploy', 'ecs' or 'rolling'"),
        (r"^\[release\]", '[access]\nadmin_cidrs = ["10.0.0.0/33"]\n[release]', r"'10.0.0.0/33' is no CIDR"),
        (r"^\[release\]", '[access]\nadmin_cidrs = ["10.0.0.1/8"]\n[release]', r"'10.0.0.1/8' is no CIDR"),
        (
            r"^\[release\]",
            '[access]\nadmin_cidrs = "10.0.0.0/8"\n[release]',
            r"access.admin_cidrs: .*a list",
        ),
        (
            r"^\[release\]",
            '[tls]\ndomain = "x y"\nhosted_zone_id = "Z1"\n[release]',
            r"tls.domain: 'x y' is no",
        ),
        (r"^\[release\]", '[tls]\ndomain = "a.example.com"\n[release]', r"tls.hosted_zone_id: is missing"),
        (r"^\[release\]", "[waf]\nrate_limit = 9\n[release]", r"waf.rate_limit: .*at least 10, not 9"),
        (r"^\[release\]", '[waf]\nrate_limit = "2000"\n[release]', r"waf.rate_limit: .*whole number"),
        (r"^\[release\]", "[waf]\nmode = 1\n[release]", r"waf.mode: unknown key; allowed: rate_limit"),
        (r"^\[release\]", "waf = true\n[release]", r"database.waf: unknown key"),
        (r"^\[release\]", "[cdn]\nlist_seconds = 0\n[release]", r"cdn.list_seconds: .*at least 1, not 0"),
        (r"^\[release\]", "[cdn]\nlist_seconds = 3601\n[release]", r"cdn.list_seconds: .*at most 3600"),
        (
            r"^\[release\]",
            '[cdn]\nprice_class = "50"\n[release]',
            r"cdn.price_class: .*'100', '200' or 'all'",
        ),
        (
            r"^\[release\]",
            "[cdn]\nttl = 1\n[release]",
            r"cdn.ttl: unknown key; allowed: list_seconds, price_class",
        ),
        (
            r"^\[release\]",
            oidc(issuer="http://login.example.com"),
            r"access.oidc.issuer: 'http://login.example.com' is no https URL; an example is https://",
        ),
        (r"^\[release\]", oidc(client_id=""), r"access.oidc.client_id: '' does not have the form"),
        (
            r"^\[release\]",
            oidc(client_secret_name="a secret"),
            r"access.oidc.client_secret_name: 'a secret' does not have the form",
        ),
        (
            r"^\[release\]",
            oidc(client_secret="x"),
            r"access.oidc.client_secret: unknown key; allowed: issuer, authorization_endpoint",
        ),
        (
            r"^\[release\]\ncontroller.*",
            oidc() + '\ncontroller = "rolling"',
            r"access.oidc: a load balancer signs users in over HTTPS only; add \[tls\] with a domain or remove",
        ),
        (
            r"^\[release\]",
            '[alarms]\nemails = ["nobody"]\n[release]',
            r"alarms.emails.0: 'nobody' is no email",
        ),
        (
            r"^\[release\]",
            "[services.barista]\ncpu = 256\n[release]",
            r"services.barista: there is no such service",
        ),
        (
            r"^\[release\]",
            "[services.customer]\ncpu = 300\n[release]",
            r"cpu 300 is not offered by Fargate; allowed",
        ),
        (
            r"^\[release\]",
            "[services.customer]\nspeed = 1\n[release]",
            r"services.customer.speed: unknown key",
        ),
        (r"^\[release\]", "services = 1\n[release]", r"database.services: unknown key"),
        (r"^\[release\]", "[services]\ncustomer = 1\n[release]", r"services.customer"),
        (r"^source.*", 'source = "gitlab"', r"delivery.source: .*'codecommit' or 'github', not 'gitlab'"),
        (r"^source.*", 'source = "github"', r"delivery: connection_arn is missing; source = 'github' needs"),
        (
            r"^source.*",
            f'source = "github"\nconnection_arn = "{CONNECTION}"',
            r"delivery: repository 'microservices' is no GitHub repository such as 'owner/name'",
        ),
        (
            r"^source.*",
            f'source = "github"\nconnection_arn = "{CONNECTION}"\nrepository = "a/b"\ncreate_repository = false',
            r"delivery: create_repository is for source = 'codecommit'; remove the key",
        ),
        (
            r"^source.*",
            'source = "github"\nconnection_arn = "arn:x"\nrepository = "a/b"',
            r"delivery.connection_arn: 'arn:x' is no ARN of a connection; an example is arn:",
        ),
        (
            r"^source.*",
            f'connection_arn = "{CONNECTION}"',
            r"delivery: connection_arn is for source = 'github'; remove the key or set the source",
        ),
        (r"^source.*", 'repository = "a b"', r"delivery: repository 'a b' is no CodeCommit name"),
        (r"^source.*", 'repository = "a.git"', r"delivery: repository 'a.git' is no CodeCommit name"),
        (r"^source.*", 'branch = "a..b"', r"delivery.branch: 'a..b' is no branch name; an example is main"),
        (r"^source.*", "speed = 1", r"delivery.speed: unknown key; allowed: source, repository,"),
        (
            r"^\[delivery\]\nsource.*",
            "approval = true",
            r"release.approval: is asked for by a pipeline; add \[delivery\] or remove the key",
        ),
        (r"^region", 'name = "prod"\nregion', r"name: is the file's name; remove the key"),
        (r"^region", "region =", r"is not TOML"),
    ],
)
def test_a_wrong_environment_is_one_line_that_names_file_key_and_what_is_allowed(
    project: Path, pattern: str, replacement: str, message: str
) -> None:
    edit(project / "environments/dev.toml", pattern, replacement)
    text = problems_of(project)
    assert re.search(message, text), text
    assert text.startswith("environments/dev.toml: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"^priority.*", "", r"priority: is missing"),
        (r"^priority.*", "priority = 0", r"priority: .*at least 1, not 0"),
        (
            r"^path_patterns.*",
            'path_patterns = ["suppliers"]',
            r"path_patterns.0: 'suppliers' is no path pattern",
        ),
        (r"^path_patterns.*", "path_patterns = []", r"path_patterns: .*at least 1"),
        (
            r"^memory_mib.*",
            "memory_mib = 4096",
            r"memory_mib 4096 is not offered with cpu 256; allowed: 512, 1024, 2048",
        ),
        (r"^min_tasks.*", "min_tasks = 9", r"scaling: min_tasks \(9\) must not be above max_tasks \(4\)"),
        (r"^target_cpu_percent.*", "target_cpu_percent = 80", r"must hold, not 30, 80, 70"),
        (r"^database.*", 'database = "none"', r"tables needs database"),
        (
            r"^database.*",
            'database = "write"\nowner = 1',
            r"owner: unknown key; allowed: enabled, path_patterns",
        ),
        (
            r"^database.*",
            'database = "read"\nmigrations = true',
            r"migrations = true needs database = 'write'",
        ),
        (
            r"^path_patterns.*",
            'path_patterns = ["/admin/x"]\naccess = "public"',
            r"never public; set access = 'admin'",
        ),
        (
            r"^path_patterns.*",
            'name = "x"\npath_patterns = ["/x"]',
            r"name: is the folder's name; remove the key",
        ),
    ],
)
def test_a_wrong_manifest_is_one_line_too(
    project: Path, pattern: str, replacement: str, message: str
) -> None:
    edit(project / "services/customer/service.toml", pattern, replacement)
    text = problems_of(project)
    assert re.search(message, text), text
    assert text.startswith("services/customer/service.toml: ")
    assert "\n" not in text


OFFICE = """
[[scaling.schedules]]
name = "office"
weekdays = ["mon", "fri"]
hours = "09:00-17:00"
time_zone = "Europe/Berlin"
min_tasks = 3
max_tasks = 6
"""


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r'^name = "office"', 'name = "Office"', r"schedules.0.name: 'Office' does not have the form"),
        (r"^hours.*", 'hours = "9-17"', r"hours: '9-17' are no hours of a day; an example is 09:00-17:00"),
        (r"^hours.*", 'hours = "09:00-09:00"', r"hours: '09:00-09:00' are no hours of a day"),
        (r"^weekdays.*", 'weekdays = ["monday"]', r"weekdays.0: .*'mon', 'tue'.*, not 'monday'"),
        (r"^weekdays.*", "", r"schedules.0: say either weekdays and hours, .* or cron"),
        (r"^hours.*", 'hours = "09:00-17:00"\ncron = "0 9 ? * * *"', r"schedules.0: say either weekdays"),
        (r"^time_zone.*", 'time_zone = "Berlin"', r"'Berlin' is no time zone; examples are UTC and Europe/"),
        (r"^time_zone.*", 'time_zone = "../etc"', r"'../etc' is no time zone"),
        (
            r"^min_tasks = 3",
            "min_tasks = 7",
            r"schedules.0: min_tasks \(7\) must not be above max_tasks \(6\)",
        ),
        (r"^max_tasks = 6", "max_tasks = 0", r"schedules.0.max_tasks: .*at least 1, not 0"),
        (
            r"^max_tasks = 6",
            "max_tasks = 6\nspeed = 1",
            r"speed: unknown key; allowed: weekdays, hours, cron",
        ),
        (
            r"^weekdays.*\nhours.*",
            'cron = "0 9 * * *"',
            r"cron: '0 9 \* \* \*' has 5 fields, not 6; an example is '0 9 \? \* MON-FRI \*'",
        ),
        (r"^weekdays.*\nhours.*", 'cron = "0 9 * * * *"', r"needs '\?' as day of month or as day of week"),
        (r"^weekdays.*\nhours.*", 'cron = "0 25 ? * * *"', r"hour '25' is not one of 0 to 23"),
        (r"^weekdays.*\nhours.*", 'cron = "0 9 ? * FRI-MON *"', r"day of week 'FRI-MON' is no range"),
        (
            r"^max_tasks = 6",
            'max_tasks = 6\n[[scaling.schedules]]\nname = "office"\ncron = "0 9 ? * * *"\nmin_tasks = 2\nmax_tasks = 3',
            r"scaling: schedules: the name 'office' is taken twice",
        ),
        (
            r"^max_tasks = 6",
            'max_tasks = 6\n[[scaling.schedules]]\nname = "late"\nweekdays = ["fri"]\nhours = "16:00-20:00"\n'
            'time_zone = "Europe/Berlin"\nmin_tasks = 2\nmax_tasks = 3',
            r"scaling: schedules: the hours of office and late overlap or touch",
        ),
        (
            r"^max_tasks = 6",
            'max_tasks = 6\n[[scaling.schedules]]\nname = "late"\nweekdays = ["sun"]\nhours = "22:00-09:00"\n'
            'time_zone = "Europe/Berlin"\nmin_tasks = 2\nmax_tasks = 3',
            r"scaling: schedules: the hours of late and office overlap or touch",
        ),
        (
            r"^max_tasks = 6",
            'max_tasks = 6\n[[scaling.schedules]]\nname = "late"\nweekdays = ["sun"]\nhours = "20:00-21:00"\n'
            "min_tasks = 2\nmax_tasks = 3",
            r"scaling: schedules: those with weekdays share one time_zone, not Europe/Berlin, UTC",
        ),
        (
            r"^cooldown_seconds.*",
            "step_in_cpu_percent = 34",
            r"scaling: step_in_cpu_percent \(34\) must be at most 33: else one task less than 3 lifts",
        ),
        (r"^cooldown_seconds.*", "target_memory_percent = 5", r"target_memory_percent: .*10, not 5"),
        (r"^cooldown_seconds.*", "target_requests_per_target = 0", r"target_requests_per_target: .*1, not 0"),
    ],
)
def test_wrong_scaling_is_one_line_too(project: Path, pattern: str, replacement: str, message: str) -> None:
    manifest = project / "services/customer/service.toml"
    manifest.write_text(manifest.read_text() + OFFICE)
    edit(manifest, pattern, replacement)
    text = problems_of(project)
    assert re.search(message, text), text
    assert text.startswith("services/customer/service.toml: scaling")
    assert "\n" not in text


def test_the_low_step_is_lower_where_one_task_carries_all(project: Path) -> None:
    manifest = project / "services/customer/service.toml"
    edit(manifest, r"^min_tasks.*", "min_tasks = 1")
    customer, employee = settings.load("dev", project).services
    # 25 % of two tasks is the 50 % at which one task would be joined by another.
    assert (customer.scaling.step_in_cpu_percent, employee.scaling.step_in_cpu_percent) == (25, 30)
    edit(manifest, r"^min_tasks.*", "min_tasks = 2")
    manifest.write_text(manifest.read_text() + OFFICE.replace("min_tasks = 3", "min_tasks = 1"))
    assert settings.load("dev", project).services[0].scaling.step_in_cpu_percent == 25


def test_spot_is_refused_where_a_service_could_not_be_moved_to_it(project: Path) -> None:
    edit(project / "services/customer/service.toml", r"^priority", "spot_percent = 50\npriority")
    text = problems_of(project)
    assert text.startswith(
        "environments/dev.toml: services.customer.spot_percent: with controller 'codedeploy'"
    )
    assert "\n" not in text
    edit(project / "environments/dev.toml", r"^controller.*", 'controller = "ecs"')
    assert settings.load("dev", project).services[0].spot_percent == 50
    edit(project / "services/customer/service.toml", r"^spot_percent.*", "spot_percent = 100")
    assert "spot_percent: must be at most 95, not 100" in problems_of(project)


def test_a_bake_time_that_cloudformation_would_not_wait_for_is_refused(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^bake_minutes.*", "bake_minutes = 41")
    assert "release.bake_minutes: with controller 'codedeploy' at most 40, not 41" in problems_of(project)


def test_a_bake_time_that_a_pipeline_would_not_wait_for_is_refused(project: Path) -> None:
    file = project / "environments/dev.toml"
    edit(file, r"^controller.*", 'controller = "ecs"')
    edit(file, r"^bake_minutes.*", "bake_minutes = 41")
    assert problems_of(project) == (
        "environments/dev.toml: release.bake_minutes: with controller 'ecs' and pipelines at most 40, not 41: a release "
        "must end within the hour that a pipeline waits"
    )
    edit(file, r'^\[delivery\]\nsource = "codecommit"', "")
    assert settings.load("dev", project).release.bake_minutes == 41


def test_more_networks_than_a_native_release_can_move_are_refused(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^controller.*", 'controller = "ecs"')
    edit(
        project / "environments/dev.toml",
        r"^\[release\]",
        '[access]\nadmin_cidrs = ["203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"]\n[release]',
    )
    assert "access.admin_cidrs: with controller 'ecs' the paths of employee leave room for 3" in problems_of(
        project
    )


@pytest.mark.parametrize("controller", ["codedeploy", "ecs"])
def test_a_sign_in_that_releases_would_lose_is_refused_in_one_line(project: Path, controller: str) -> None:
    file = project / "environments/prod.toml"
    if controller != "codedeploy":
        edit(file, r"^controller.*", f'controller = "{controller}"')
    edit(file, r"^\[release\]", oidc())
    assert problems_of(project, "prod") == (
        f"environments/prod.toml: access.oidc: controller '{controller}' rewrites the rules that sign users in and "
        "can lose the sign-in; set release.controller = 'rolling' or remove [access.oidc]"
    )


def test_a_sign_in_needs_a_domain_and_rolling_releases(project: Path) -> None:
    file = project / "environments/prod.toml"
    edit(file, r"^controller.*", 'controller = "rolling"')
    edit(file, r"^\[release\]", oidc())
    loaded = settings.load("prod", project).access.oidc
    assert loaded is not None
    assert loaded.client_secret_name == "login/directory"


def test_a_canary_is_refused_where_people_sign_in(project: Path) -> None:
    file = project / "environments/prod.toml"
    edit(file, r"^controller.*", 'controller = "rolling"')
    edit(file, r"^\[release\]", f"[canary]\n{oidc()}")
    problems = problems_of(project, "prod")
    assert (
        problems
        == "environments/prod.toml: canary: cannot sign in where people do; remove [canary] or [access.oidc]"
    )


def test_a_section_without_keys_puts_a_web_acl_with_its_usual_limit_in_front(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^\[release\]", "[waf]\n[release]")
    assert settings.load("dev", project).waf == settings.Waf(rate_limit=2000)
    assert settings.load("local", project).waf is None


def test_a_proxy_that_nobody_would_connect_to_is_refused(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^\[database\]", "[database]\nproxy = true")
    assert settings.load("dev", project).database.proxy
    for service in settings.load("dev", project).services:
        manifest = project / f"services/{service.name}/service.toml"
        edit(manifest, r"^database.*", 'database = "none"')
        text = manifest.read_text()
        manifest.write_text(
            "".join(line for line in text.splitlines(True) if not line.startswith(("tables", "migrations")))
        )
    assert (
        problems_of(project)
        == "environments/dev.toml: database.proxy: no service uses the database; remove the key"
    )


def test_two_services_with_one_priority_contradict_each_other(project: Path) -> None:
    edit(project / "services/customer/service.toml", r"^priority.*", "priority = 100")
    assert "services.employee.priority: rule priority 100 is taken by customer" in problems_of(project)


def test_the_rules_that_close_the_administration_need_their_priorities_too(project: Path) -> None:
    edit(project / "services/customer/service.toml", r"^priority.*", "priority = 101")
    assert "services.employee.priority: rule priority 101 is taken by customer" in problems_of(project)


def test_a_path_that_an_earlier_service_takes_is_found(project: Path) -> None:
    edit(project / "services/customer/service.toml", r"^priority.*", "priority = 50")
    text = problems_of(project)
    assert (
        "services.employee.path_patterns: '/admin/*' is never reached, customer takes '/*' at priority 50"
        in text
    )


def test_text_that_is_not_utf8_is_said_so(project: Path) -> None:
    (project / "environments/dev.toml").write_bytes('region = "é"'.encode("latin-1"))
    assert problems_of(project) == "environments/dev.toml: is not UTF-8 text (byte 10); save it as UTF-8"


def test_a_service_without_a_dockerfile_is_said_so(project: Path) -> None:
    (project / "services/customer/Dockerfile").unlink()
    assert problems_of(project) == "services/customer/Dockerfile: is missing"


def test_a_folder_with_a_manifest_is_a_microservice(project: Path) -> None:
    folder = project / "services/roasters"
    folder.mkdir()
    (folder / "Dockerfile").touch()
    (folder / "service.toml").write_text(
        'path_patterns = ["/roasters", "/roasters/*"]\npriority = 150\ncontainer_port = 8080\ncpu = 256\n'
        'memory_mib = 512\nhealth_check_path = "/roasters"\ndatabase = "read"\n[scaling]\nmin_tasks = 1\n'
    )
    roasters = settings.load("dev", project).services[-1]
    assert (roasters.name, roasters.access, roasters.scaling.min_tasks) == ("roasters", "public", 1)


def test_an_environment_can_leave_a_service_out(project: Path) -> None:
    edit(
        project / "environments/dev.toml", r"^\[release\]", "[services.employee]\nenabled = false\n[release]"
    )
    assert [service.name for service in settings.load("dev", project).services] == ["customer"]


def test_the_students_records_are_where_an_environment_lists_them(project: Path) -> None:
    def listed(name: str) -> bool:
        return "students" in {service.name for service in settings.load(name, project).services}

    assert {name: listed(name) for name in ("local", "dev", "prod")} == {
        "local": True,
        "dev": False,
        "prod": False,
    }
    with (project / "environments/dev.toml").open("a") as file:
        file.write("[services.students]\nenabled = true\n")
    assert listed("dev")


def test_overrides_reach_single_values_of_a_manifest(project: Path) -> None:
    edit(
        project / "environments/dev.toml",
        r"^\[release\]",
        "[services.customer.scaling]\nmax_tasks = 7\n[release]",
    )
    scaling = settings.load("dev", project).services[0].scaling
    assert (scaling.min_tasks, scaling.max_tasks) == (2, 7)


def test_paths_below_admin_are_restricted_without_being_told_to(project: Path) -> None:
    access = {service.name: service.access for service in settings.load("dev", project).services}
    assert access == {"customer": "public", "employee": "admin"}


def test_no_named_networks_means_only_the_vpc() -> None:
    dev = settings.load("dev")
    assert dev.admin_cidrs == dev.test_traffic_cidrs == (dev.network.cidr,)


@pytest.mark.parametrize(("name", "expected"), [("local", False), ("dev", True), ("prod", True)])
def test_an_environment_without_the_section_has_no_pipelines(name: str, expected: bool) -> None:
    assert (settings.load(name).delivery is not None) == expected


@pytest.mark.parametrize("branch", ["main", "release/2026.1", "a_b-c"])
def test_branches_have_the_names_that_git_allows(project: Path, branch: str) -> None:
    edit(project / "environments/dev.toml", r"^source.*", f'branch = "{branch}"')
    delivery = settings.load("dev", project).delivery
    assert delivery is not None
    assert delivery.branch == branch


@pytest.mark.parametrize(
    ("pattern", "instead", "message"),
    [
        ("deletion_protection = true", "", "database.deletion_protection: protected = true keeps the data"),
        (
            "emails = .*",
            "emails = []",
            "alarms.emails: protected = true needs somebody who is told of alarms",
        ),
        (
            r"(?m)^emails = .*",
            'emails = ["a@b.cd"]\nrunbook_url = "docs/runbook.md"',
            "alarms.runbook_url: 'docs/runbook.md' leads nobody to the runbook",
        ),
    ],
)
def test_a_protected_environment_keeps_its_data_and_tells_somebody_what_to_do(
    project: Path, pattern: str, instead: str, message: str
) -> None:
    edit(project / "environments/prod.toml", pattern, instead)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load("prod", project)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"environments/prod.toml: {message}")


def test_messages_lead_to_the_runbook_of_the_repository_unless_it_is_said_to_be_elsewhere(
    project: Path,
) -> None:
    file = project / "environments/dev.toml"
    console = "https://us-east-1.console.aws.amazon.com/codesuite/codecommit/repositories/microservices"
    assert settings.load("local", project).runbook_url == "docs/runbook.md"
    assert settings.load("dev", project).runbook_url == (
        f"{console}/browse/refs/heads/main/--/docs/runbook.md?region=us-east-1"
    )
    arn = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
    edit(file, r"^source.*", f'source = "github"\nrepository = "a/b"\nconnection_arn = "{arn}"')
    assert settings.load("dev", project).runbook_url == "https://github.com/a/b/blob/main/docs/runbook.md"
    file.write_text(f'{file.read_text()}\n[alarms]\nrunbook_url = "https://wiki/runbook"\n')
    assert settings.load("dev", project).runbook_url == "https://wiki/runbook"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "[logs]\nretention_days = 100",
            r"logs.retention_days: 100 is not offered; allowed: 1, 3, 5, 7, 14, 30,",
        ),
        ("[alarms]\nmonthly_budget_usd = 0", r"alarms.monthly_budget_usd: .*above 0, not 0"),
        ("[alarms]\nserver_error_percent = 200", r"alarms.server_error_percent: .*at most 100"),
        ('[alarms]\nrunbook_url = "a page"', r"alarms.runbook_url: 'a page' is no address or path"),
        (
            '[alarms]\nrunbook_url = "https://x/#y"',
            r"alarms.runbook_url: 'https://x/#y' is no address or path",
        ),
        ("[canary]\ninterval_minutes = 0", r"canary.interval_minutes: .*at least 1, not 0"),
        ("[canary]\nevery = 5", r"canary.every: unknown key; allowed: interval_minutes"),
    ],
)
def test_a_wrong_value_of_observability_is_one_readable_line(
    project: Path, section: str, message: str
) -> None:
    file = project / "environments/dev.toml"
    text = re.sub(r"\n\[logs\]\n.*\n", "\n", file.read_text())
    file.write_text(f"{text}\n{section}\n")
    problems = problems_of(project)
    assert len(problems.splitlines()) == 1
    assert re.search(f"environments/dev.toml: {message}", problems), problems


def test_a_canary_needs_a_way_out_of_the_vpc(project: Path) -> None:
    file = project / "environments/dev.toml"
    edit(file, r"^nat_gateways.*", "nat_gateways = 0\ninterface_endpoints = true")
    file.write_text(file.read_text() + "\n[canary]\n")
    assert "canary: runs in the VPC" in problems_of(project)


@pytest.mark.parametrize(
    ("instance_class", "expected"),
    [
        ("db.t4g.micro", 64),
        ("db.t3.small", 128),
        ("db.m7g.large", 512),
        ("db.r6g.large", 1024),
        ("db.m5.4xlarge", 4096),
        ("db.x2g.large", 2048),
        ("db.m6idn.xlarge", 1024),
        ("db.x2iedn.2xlarge", 16384),
    ],
)
def test_the_database_accepts_64_connections_for_each_gib(instance_class: str, expected: int) -> None:
    assert settings.Database(instance_class=instance_class).connection_limit == expected
    assert settings.Database(instance_class=instance_class, max_connections=99).connection_limit == 99


@pytest.mark.parametrize(
    "instance_class",
    ["db.t2.small", "db.m4.large", "db.t4g.nano", "db.m7g.medium", "db.z1d.large", "db.m7g.01xlarge"],
)
def test_an_instance_class_that_mysql_is_not_offered_in_is_refused(
    project: Path, instance_class: str
) -> None:
    edit(project / "environments/dev.toml", r"^instance_class.*", f'instance_class = "{instance_class}"')
    assert f"database.instance_class: '{instance_class}' is not offered for MySQL 8.4" in problems_of(project)


def test_the_classes_of_clusters_alone_are_refused_for_an_instance(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^instance_class.*", 'instance_class = "db.c6gd.medium"')
    assert "'db.c6gd.medium' is offered with cluster = true only" in problems_of(project)


def test_insights_are_refused_where_they_are_not_offered(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^instance_class.*", r"\g<0>\ninsights = true")
    assert "database: insights = true is not offered with instance_class 'db.t4g.small'" in problems_of(
        project
    )


def test_a_vault_of_backups_is_for_an_environment_that_stays(project: Path) -> None:
    edit(project / "environments/dev.toml", r"\Z", "\n[backup]\n")
    assert "backup: a vault with snapshots in it cannot be deleted" in problems_of(project)


def test_the_name_of_a_service_with_a_database_leaves_room_for_its_users_clone(project: Path) -> None:
    (project / "services/employee").rename(project / "services/departments")
    text = problems_of(project)
    assert (
        "services.departments: a service with a database has a name of at most 10 characters, not 11" in text
    )


def test_readers_have_one_replica_at_most(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^instance_class.*", r"read_replicas = 2")
    assert "database.read_replicas: must be at most 1, not 2" in problems_of(project)


def test_a_cluster_needs_a_third_zone(project: Path) -> None:
    file = project / "environments/dev.toml"
    edit(
        file,
        r"^instance_class.*\nstorage_gib.*",
        'instance_class = "db.m6gd.large"\nstorage_gib = 400\ncluster = true',
    )
    assert settings.load("dev", project).database.cluster
    edit(file, r"^availability_zones.*", 'availability_zones = ["us-east-1a", "us-east-1b"]')
    assert "database.cluster: its three instances are in 3 zones" in problems_of(project)


def test_a_health_check_that_only_a_task_itself_answers_is_no_check_of_a_release(project: Path) -> None:
    manifest = project / "services/employee/service.toml"
    edit(manifest, r"^release_check_paths.*\n", "")
    manifest.write_text(manifest.read_text().replace('"/admin/suppliers"', '"/health"'))
    paths = {service.name: service.check_paths for service in settings.load("prod", project).services}
    assert paths == {"customer": ("/", "/suppliers", "/api/suppliers"), "employee": ()}


def test_cloudfront_in_front_has_values_to_start_from(project: Path) -> None:
    edit(project / "environments/dev.toml", r"^\[release\]", "[cdn]\n[release]")
    loaded = settings.load("dev", project)
    assert loaded.cdn == settings.Cdn(list_seconds=10, price_class="100")
    assert loaded.compute.cloudfront_prefix_list == "pl-3b927c52"


def move(file: Path, region: str) -> None:
    file.write_text(file.read_text().replace("us-east-1", region))


@pytest.mark.parametrize(("section", "what"), [("tls", "certificate"), ("waf", "web ACL")])
def test_what_cloudfront_has_in_one_region_only_is_refused_in_others_in_one_line(
    project: Path, section: str, what: str
) -> None:
    file = project / "environments/prod.toml"
    other = {"tls": "waf", "waf": "tls"}[section]
    file.write_text(re.sub(rf"\[{other}\][^[]*", "", file.read_text()))
    edit(file, r"^\[release\]", "[cdn]\n[release]")
    move(file, "eu-west-3")
    assert problems_of(project, "prod") == (
        f"environments/prod.toml: {section}: the {what} of CloudFront has to be in us-east-1, not eu-west-3; remove "
        f"[{section}] or [cdn], or set region = 'us-east-1'"
    )


def test_cloudfront_is_refused_where_its_addresses_are_not_known(project: Path) -> None:
    file = project / "environments/dev.toml"
    edit(file, r"^\[release\]", "[cdn]\n[release]")
    move(file, "af-south-1")
    assert "environments/dev.toml: cdn: CloudFront's address list of af-south-1 is not known" in problems_of(
        project
    )


def test_signing_in_behind_cloudfront_needs_a_way_out(project: Path) -> None:
    file = project / "environments/prod.toml"
    edit(file, r"^controller.*", 'controller = "rolling"')
    edit(file, r"^\[release\]", f"[cdn]\n{oidc()}")
    assert settings.load("prod", project).cdn is not None
    edit(file, r"^nat_gateways.*", "nat_gateways = 0\ninterface_endpoints = true")
    assert problems_of(project, "prod") == (
        "environments/prod.toml: access.oidc: behind CloudFront the load balancer reaches the provider by NAT gateways; "
        "set network.nat_gateways to at least 1, or remove [access.oidc] or [cdn]"
    )


def test_more_restricted_paths_than_a_distribution_tells_apart_are_refused() -> None:
    environment = settings.load("dev")
    (restricted,) = (each for each in environment.services if each.access == "admin")
    services = tuple(
        restricted.model_copy(update={"name": f"s{number}", "priority": 1000 + 50 * number})
        for number in range(38)
    )
    crowded = environment.model_copy(update={"cdn": settings.Cdn(), "services": services})
    assert (
        "cdn: the restricted services have 76 path patterns, a distribution tells 74 apart; use fewer or remove [cdn]"
        in (list(contradictions(crowded)))
    )
