"""The commands of the README, run as a user runs them, on the emulator with real containers."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from pathlib import Path

import pymysql
import pytest

from tests.e2e.checkout import Checkout, free_port
from tests.e2e.secrets import passwords, shown

pytestmark = pytest.mark.timeout(900)

FORM = {
    "name": "Café Ünïcode & Söhne",
    "address": "1 Rue du Moulin",
    "city": "Montréal",
    "state": "QC",
    "email": "kontakt@example.org",
    "phone": "+1 415 555 2671",
}


@pytest.fixture(scope="module")
def deployed(checkout: Checkout) -> str:
    """What `make deploy` printed."""
    return checkout.make("deploy")


def test_deploy_shows_each_step_with_its_time_and_ends_with_the_urls(
    checkout: Checkout, deployed: str
) -> None:
    assert len(re.findall(r"^ +done in \d+\.\d s$", deployed, re.MULTILINE)) == 5
    application, administration = deployed.rstrip().splitlines()[-2:]
    url = f"http://suppliers-local.alb.localhost:{checkout.port}"
    assert application.split() == ["Application", f"{url}/"]
    assert administration.split() == ["Administration", f"{url}/admin/suppliers"]
    assert len(deployed.splitlines()) < 60, "a wall of log"


def test_deploy_tells_what_was_created_and_what_was_only_recorded(checkout: Checkout, deployed: str) -> None:
    assert re.search(
        r"^Resources +\d+ running, \d+ described, \d+ recorded: `python -m emulator report",
        deployed,
        re.MULTILINE,
    )
    table = checkout.emulator("report")
    assert re.search(r"AWS::ECS::Service +│ +3 │ +│ +│", table)
    assert re.search(r"AWS::RDS::DBInstance +│ +1 │ +│ +│", table)
    assert re.search(r"AWS::EC2::NatGateway +│ +│ +│ +1 │", table)
    assert re.search(r"total +│ +\d+ │ +\d+ │ +\d+ │", table)


def test_outputs_name_where_it_is_reached(checkout: Checkout, deployed: str) -> None:
    outputs = checkout.outputs()
    url = f"http://suppliers-local.alb.localhost:{checkout.port}"
    assert outputs["suppliers-local-compute"]["ApplicationUrl"] == f"{url}/"
    assert outputs["suppliers-local-compute"]["AdminUrl"] == f"{url}/admin/suppliers"
    assert "#dashboards/dashboard/suppliers-local" in outputs["suppliers-local-observability"]["DashboardUrl"]


def test_two_tasks_of_each_service_run_as_containers(checkout: Checkout, deployed: str) -> None:
    assert {service: len(tasks) for service, tasks in checkout.tasks().items()} == {
        "customer": 2,
        "employee": 2,
        "students": 2,
    }


def test_a_supplier_added_by_an_employee_is_seen_by_the_public(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        page = client.get("/admin/supplier-add")
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        answer = client.post("/admin/supplier-add", data={**hidden, **FORM})
        assert answer.status_code == 303, answer.text
        found = client.get("/api/suppliers", params={"q": "Ünïcode"})
        page = client.get("/suppliers", params={"q": "Ünïcode"})
    assert FORM["name"] in found.text
    assert "Café Ünïcode &amp; Söhne" in page.text


def test_the_students_records_are_a_directory_of_their_own(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        page = client.get("/students/add")
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        student = {**FORM, "name": "Zoë Ångström"}
        assert client.post("/students/add", data={**hidden, **student}).status_code == 303
        assert "Zoë Ångström" in client.get("/students", params={"q": "zoë"}).text
        assert client.get("/students/api", params={"q": "zoë"}).json()["total"] == 1
        assert client.get("/api/suppliers", params={"q": "zoë"}).json()["total"] == 0


# As somebody writes them who wants to get past the rules; what no rule takes is customer's, which has no such page.
SPELLINGS = (
    *("/Admin/suppliers", "/ADMIN", "/aDmIn/supplier-add"),
    *("//admin/suppliers", "/admin//suppliers", "///admin", "/./admin/suppliers", "/x/../admin/suppliers"),
    *(
        "/%61dmin/suppliers",
        "/admin%2Fsuppliers",
        "/%2561dmin",
        "/admin%00",
        "/%2e%2e/admin",
        "/suppliers/%2e%2e/admin",
    ),
    *(
        "/admin.",
        "/admin./suppliers",
        "/admin/suppliers..",
        "/admin/.",
        "/admin/../admin/suppliers",
        "/admin/suppliers/",
    ),
    *(
        "/admin;x/suppliers",
        "/admin/suppliers;x=y",
        "/admin/suppliers?a=b",
        "/admin?/suppliers",
        "/admin\\suppliers",
    ),
)
OUTSIDE, INSIDE = "203.0.113.9", "127.0.0.1"


@pytest.mark.parametrize("listener", ["suppliers-local", "suppliers-local--8080"])
def test_the_administration_is_reached_from_named_networks_only_however_it_is_spelled(
    checkout: Checkout, deployed: str, listener: str
) -> None:
    def ask(path: str, source: str) -> tuple[int, str]:
        # The path exactly as it is written, which better clients would tidy up.
        connection = http.client.HTTPConnection("127.0.0.1", checkout.port, timeout=10)
        host = f"{listener}.alb.localhost:{checkout.port}"
        connection.request("GET", path, headers={"Host": host, "X-Emulator-Source-Ip": source})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    administration = ("/admin", "/admin/", "/admin/suppliers", "/admin/supplier-add", "/admin/api/suppliers")
    for path in (*administration, "/students", "/students/add", "/students/api"):
        assert ask(path, OUTSIDE) == (403, "Forbidden"), path
    assert ask("/suppliers", OUTSIDE)[0] == 200
    status, page = ask("/admin/suppliers", INSIDE)
    assert (status, "/admin/supplier-add" in page) == (200, True)
    for path in SPELLINGS:
        status, text = ask(path, OUTSIDE)
        assert status in (403, 404), (path, status)
        assert "supplier-add" not in text, path
    for path in ("/Admin/suppliers", "//admin/suppliers", "/admin.", "/admin;x/suppliers"):
        assert ask(path, INSIDE)[0] == 404, path


def _signed_in(checkout: Checkout, user: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """A connection to the database as the user whose secret's name contains `user`."""
    secrets = checkout.aws().client("secretsmanager")
    (arn,) = (each["ARN"] for each in secrets.list_secrets()["SecretList"] if user in each["Name"])
    credentials = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    host, _, port = checkout.outputs()["suppliers-local-data"]["DatabaseEndpoint"].partition(":")
    return pymysql.connect(
        host=host,
        port=int(port),
        user=credentials["username"],
        password=credentials["password"],
        database="suppliers",
        ssl={"ca": str(checkout.folder / f".local/emulator-{checkout.port}/tls/ca.pem")},
    )


def test_the_customer_service_has_no_way_to_write(checkout: Checkout, deployed: str) -> None:
    with _signed_in(checkout, "CustomerUser") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM suppliers")
        assert cursor.fetchone()
        for statement in (
            "DELETE FROM suppliers",
            "INSERT INTO suppliers (name) VALUES ('x')",
            "DROP TABLE suppliers",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_the_server_is_mysql_and_its_administrator_may_do_what_amazon_rds_lets_one_do(
    checkout: Checkout, deployed: str
) -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html"""
    with _signed_in(checkout, "DatabaseAdministrator") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION(), @@version_comment")
        assert "MariaDB" not in str(cursor.fetchone())
        cursor.execute("SHOW GRANTS")
        grants = [str(row[0]) for row in cursor.fetchall()]
        assert any(grant.startswith("GRANT `rds_superuser_role`@`%` TO") for grant in grants)
        assert not [grant for grant in grants if re.search(r"ALL PRIVILEGES|SUPER\b|FILE|SHUTDOWN", grant)]
        for refused in (
            "SET GLOBAL max_connections = 5",
            "SET GLOBAL gtid_purged = ''",
            "SET SESSION sql_log_bin = 0",
            "INSERT INTO mysql.user (host, user) VALUES ('%', 'smuggled')",
            "CREATE TABLE mysql.smuggled (id INT)",
            "SELECT 'x' INTO OUTFILE '/tmp/smuggled'",
            "SHUTDOWN",
        ):
            with pytest.raises(pymysql.MySQLError, match="denied"):
                cursor.execute(refused)
        cursor.execute("CREATE USER passing@'%' IDENTIFIED BY 'p4ssing-by' REQUIRE SSL")
        cursor.execute("GRANT SELECT ON suppliers.suppliers TO passing@'%'")
        cursor.execute("DROP USER passing@'%'")


def test_the_operator_sees_what_runs(checkout: Checkout, deployed: str) -> None:
    status = checkout.answer("status")
    assert {service["name"]: (service["running"], service["live"]) for service in status["services"]} == {
        "customer": (2, "blue"),
        "employee": (2, "blue"),
        "students": (2, "blue"),
    }
    with checkout.client() as client:
        version = client.get("/").headers["x-service-version"]
    assert status["services"][0]["version"] == version
    assert status["services"][0]["targets"]
    assert status["database"]["state"] == "available"
    tasks = checkout.answer("tasks")
    assert {task["service"] for task in tasks} == {"customer", "employee", "students"}
    assert len(tasks) == 6
    assert {task["id"] for task in checkout.answer("tasks", "customer")} == {
        task["id"] for task in tasks if task["service"] == "customer"
    }
    leads_to = {row["leads_to"] for row in checkout.answer("listeners")}
    assert leads_to == {
        "customer blue",
        "employee blue",
        "students blue",
        "answer 403",
        "answer 404",
    }


def test_the_acceptance_list_tells_what_passed_and_what_the_emulator_cannot_show(
    checkout: Checkout, deployed: str
) -> None:
    results = checkout.answer("validate")
    by_state: dict[str, list[str]] = {}
    for line in results:
        by_state.setdefault(line["state"], []).append(line["check"])
    assert set(by_state) == {"passed", "not on the emulator", "not tried"}, results
    assert "a snapshot of the last day is kept" in by_state["not tried"], "local has no [backup]"
    assert "the load balancer answers and spreads the requests" in by_state["passed"]
    assert "all targets are healthy" in by_state["passed"]
    assert "the database has a standby in another zone" in by_state["not on the emulator"]


def test_logs_are_searched(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        client.get("/suppliers/424242")
    done = checkout.ops("logs", "customer", "--since", "5m", "--grep", "status=404")
    assert "request method=GET route=/suppliers/{id} status=404" in done.stdout, done.stderr
    assert "status=200" not in done.stdout


def test_one_off_tasks_pass_on_their_output_and_exit_status(checkout: Checkout, deployed: str) -> None:
    script = "import os; print(os.environ['SERVICE_NAME'], os.getuid()); raise SystemExit(5)"
    done = checkout.ops("task", "run", "customer", "--", "python", "-c", script)
    assert (done.returncode, done.stdout) == (5, "customer 10001\n")
    done = checkout.ops("migrate")
    assert (done.returncode, done.stdout.splitlines().count("prepare: done")) == (0, 2), done.stderr
    script = "import os; print(os.environ['SERVICE_NAME']); raise SystemExit(6)"
    done = checkout.ops("exec", "employee", "--", "python", "-c", script)
    assert (done.returncode, done.stdout) == (6, "employee\n")


def test_scaling_starts_and_stops_containers(checkout: Checkout, deployed: str) -> None:
    done = checkout.ops("scale", "customer", "3")
    assert done.returncode == 0, done.stderr
    assert len(checkout.tasks()["customer"]) == 3
    assert checkout.ops("scale", "customer", "9").returncode == 1
    assert checkout.ops("scale", "customer", "2").returncode == 0
    assert checkout.answer("status")["services"][0]["running"] == 2


def test_a_load_is_measured_with_the_task_counts_beside_it(checkout: Checkout, deployed: str) -> None:
    found = checkout.answer("load", "-n", "200", "-c", "10", "--path", "/suppliers", "--timeout", "30")
    assert (found["requests"], found["failed"]) == (200, 0)
    assert sum(bar["count"] for bar in found["histogram"]) == 200
    assert found["tasks"][0]["services"]["customer"] == {"desired": 2, "running": 2, "pending": 0}
    refused = checkout.ops("load", "--path", "/suppliers/424242")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "answers 404: a path that answers 200 is needed" in refused.stderr


# Short and gentle: what is shown is that nobody notices, not how fast this machine is.
_DRILL = ("--before", "1", "--after", "1", "--rate", "10", "--timeout", "30", "--max-failed-percent", "0")


def test_a_killed_task_is_replaced_and_nobody_notices(
    checkout: Checkout, deployed: str, tmp_path: Path
) -> None:
    before = checkout.tasks()
    report = tmp_path / "kill-task.md"
    found = checkout.answer("drill", "kill-task", "customer", *_DRILL, "--report", str(report))
    assert found["failures"] == {}
    assert {probe["name"] for probe in found["probes"]} == {"home", "list", "detail", "write"}
    after = checkout.tasks()
    assert after["employee"] == before["employee"]
    assert len(after["customer"]) == 2
    assert len(after["customer"] & before["customer"]) == 1
    assert report.read_text(encoding="utf-8").startswith("# Drill kill-task of local: passed\n")
    with checkout.client() as client:
        assert client.get("/api/suppliers", params={"q": "Drill"}).json()["items"] == []


def test_the_pages_outlast_a_restart_of_the_database(checkout: Checkout, deployed: str) -> None:
    found = checkout.answer("drill", "failover", *_DRILL[:-2])
    probes = {probe["name"]: probe for probe in found["probes"]}
    assert (probes["home"]["failed"], probes["list"]["failed"]) == (0, 0)
    assert found["facts"]["events of RDS"] == "DB instance restarted."
    assert checkout.tasks()["customer"], "no task may be killed by what its database does"
    assert found["recovery_seconds"] is not None


def test_no_password_is_shown_by_containers_logs_stacks_or_files(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        assert client.get("/suppliers").status_code == 200
    secrets = passwords(checkout)
    assert len(secrets) == 5, "administrator, migrator and three services"
    places = dict(shown(checkout)) | {"what make printed": deployed}
    for kind in (
        "docker inspect ",
        "docker logs ",
        "/suppliers-local/employee/",
        ":task-definition/",
        "cdk.out/",
    ):
        assert [text for where, text in places.items() if kind in where and text], kind
    for where, text in places.items():
        for name, password in secrets.items():
            assert password not in text, f"{where} shows the password in {name}"
    # The search reads what it should: all of it is there by name.
    assert any(name in text for name in secrets for text in places.values())


def test_what_was_removed_comes_back_from_a_backup(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        before = client.get("/api/suppliers").json()["items"]
        file = checkout.done("backup").strip()
        for supplier in before[:2]:
            assert client.delete(f"/admin/api/suppliers/{supplier['id']}").status_code == 204
        assert len(client.get("/api/suppliers").json()["items"]) == len(before) - 2
        checkout.done("restore", file, "--yes")
        assert client.get("/api/suppliers").json()["items"] == before


def test_a_second_deploy_changes_nothing(checkout: Checkout, deployed: str) -> None:
    before = checkout.tasks()
    printed = checkout.make("deploy")
    assert len(re.findall(r": no changes$", printed, re.MULTILINE)) == 7
    assert checkout.tasks() == before
    compared = checkout.make("diff")
    assert compared.count("There were no differences") == 7
    with checkout.client() as client:
        assert FORM["name"] in client.get("/api/suppliers", params={"q": "Ünïcode"}).text


def test_an_edit_of_one_service_replaces_only_that_service(checkout: Checkout, deployed: str) -> None:
    before = checkout.tasks()
    with checkout.client() as client:
        old = client.get("/").headers["x-service-version"]
    with (checkout.folder / "services/customer/customer/__init__.py").open("a") as file:
        file.write("# a new version\n")
    checkout.make("deploy")
    after = checkout.tasks()
    assert after["employee"] == before["employee"]
    assert len(after["customer"]) == 2
    assert not after["customer"] & before["customer"]
    with checkout.client() as client:
        new = client.get("/").headers["x-service-version"]
    assert new != old
    assert "in place of" in checkout.ops("rollback", "customer", "--dry-run").stdout
    assert checkout.ops("rollback", "customer").returncode == 0
    watched = checkout.ops("release", "watch", "customer")
    # Where tasks are replaced at once it may be over before anybody looks.
    assert watched.returncode == 0 or "no release of customer is under way" in watched.stderr, watched.stderr
    with checkout.client() as client:
        assert client.get("/").headers["x-service-version"] == old
    versions = [release["version"] for release in checkout.answer("releases", "customer")]
    assert versions == [old, new, old]


def test_production_is_rehearsed_with_exactly_its_templates(checkout: Checkout, deployed: str) -> None:
    port = free_port(checkout.port + 1)
    printed = checkout.make("rehearse", "ENV=prod", port=port)
    assert "/admin/suppliers: 403" in printed, "the administration of prod is closed from outside"
    assert re.search(r"^Application +https://suppliers-prod\.alb\.localhost:\d+/$", printed, re.MULTILINE)
    rehearsal = Checkout(checkout.folder, port)
    cloudformation = rehearsal.aws().client("cloudformation")
    for stack, expected in (("Compute", {"Certificate", "RecordSet"}), ("Customer", {"DeploymentGroup"})):
        synthesized = json.loads((checkout.folder / f"cdk.out/{stack}.template.json").read_text())
        live = cloudformation.get_template(StackName=f"suppliers-prod-{stack.lower()}")["TemplateBody"]
        assert (json.loads(live) if isinstance(live, str) else live) == synthesized
        assert {key.split("::")[-1] for key in _types(synthesized)} >= expected
    # Its releases are checked by its domain, as on AWS.
    rehearsal.done("release", "again", "customer", "--env", "prod", "--rehearse", "--yes")
    watched = rehearsal.done("release", "watch", "customer", "--env", "prod", "--rehearse")
    assert "AfterAllowTestTraffic" in watched
    assert "prod is rehearsed on the emulator" in printed
    assert "console.aws.amazon.com" not in printed
    every_right_is_needed_or_its_reason_is_listed(rehearsal, "--env", "prod", "--rehearse")
    # Another environment beside it, in the same account, where no name is given twice.
    printed = checkout.make("rehearse", "ENV=dev", port=port)
    assert re.search(r"^Application +http://suppliers-dev\.alb\.localhost:\d+/$", printed, re.MULTILINE)
    stacks = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    for environment in ("prod", "dev"):
        parts = ("delivery", "delivery-customer", "delivery-employee")
        assert {f"suppliers-{environment}-{part}" for part in parts} <= set(stacks)


def test_every_right_of_local_is_needed_or_its_reason_is_listed(checkout: Checkout, deployed: str) -> None:
    every_right_is_needed_or_its_reason_is_listed(checkout)


def every_right_is_needed_or_its_reason_is_listed(checkout: Checkout, *options: str) -> None:
    """Without its statement, each right's use would have been denied; what is not used is listed in docs/rights.md."""
    rights = checkout.answer("rights", *options)
    assert len(rights) > 50
    for right in rights:
        used = right["used"]
        assert (used is None) == (right["reason"] is not None), right
        assert used is None or used["needed"], right


def _types(template: dict[str, dict[str, dict[str, str]]]) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def test_destroy_leaves_nothing(checkout: Checkout, deployed: str) -> None:
    states = sorted((checkout.folder / ".local").glob("emulator-*/pid"))
    assert len(states) == 2, "the local environment and the rehearsal"
    checkout.make("destroy")
    for state in states:
        port = int(state.parent.name.rpartition("-")[2])
        for kind in (("ps", "-aq"), ("network", "ls", "-q")):
            assert checkout.docker(*kind, port=port) == []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = process.read_bytes()
        except OSError:
            continue
        assert f"EMULATOR_STATE={checkout.folder}".encode() not in content, process
    volumes = subprocess.run(
        ["docker", "volume", "ls", "-q", "--filter", f"name=ministack-rds-{checkout.port}-"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert volumes.stdout == ""
