"""The commands of the README, run as a user runs them, on the emulator with real containers."""

from __future__ import annotations

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
    assert len(re.findall(r"^ +done in \d+\.\d s$", deployed, re.MULTILINE)) == 4
    application, administration = deployed.rstrip().splitlines()[-2:]
    url = f"http://suppliers-local.alb.localhost:{checkout.port}"
    assert application.split() == ["Application", f"{url}/"]
    assert administration.split() == ["Administration", f"{url}/admin/suppliers"]
    assert len(deployed.splitlines()) < 120, "a wall of log"


def test_deploy_tells_what_was_created_and_what_was_only_recorded(deployed: str) -> None:
    assert re.search(r"AWS::ECS::Service +│ +2 │ +│ +│", deployed)
    assert re.search(r"AWS::RDS::DBInstance +│ +1 │ +│ +│", deployed)
    assert re.search(r"AWS::EC2::NatGateway +│ +│ +│ +1 │", deployed)
    assert re.search(r"total +│ +\d+ │ +\d+ │ +\d+ │", deployed)


def test_outputs_are_written_where_the_readme_says(checkout: Checkout, deployed: str) -> None:
    outputs = checkout.outputs()
    url = f"http://suppliers-local.alb.localhost:{checkout.port}"
    assert outputs["suppliers-local-compute"]["ApplicationUrl"] == f"{url}/"
    assert outputs["suppliers-local-compute"]["AdminUrl"] == f"{url}/admin/suppliers"
    assert "#dashboards/dashboard/suppliers-local" in outputs["suppliers-local-observability"]["DashboardUrl"]


def test_two_tasks_of_each_service_run_as_containers(checkout: Checkout, deployed: str) -> None:
    assert {service: len(tasks) for service, tasks in checkout.tasks().items()} == {
        "customer": 2,
        "employee": 2,
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


def test_the_customer_service_has_no_way_to_write(checkout: Checkout, deployed: str) -> None:
    secrets = checkout.aws().client("secretsmanager")
    names = {secret["Name"]: secret["ARN"] for secret in secrets.list_secrets()["SecretList"]}
    arns = [arn for name, arn in names.items() if "CustomerUser" in name]
    (credentials,) = (json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"]) for arn in arns)
    endpoint = checkout.outputs()["suppliers-local-data"]["DatabaseEndpoint"]
    host, _, port = endpoint.partition(":")
    authority = checkout.folder / f".local/emulator-{checkout.port}/tls/ca.pem"
    with pymysql.connect(
        host=host,
        port=int(port),
        user=credentials["username"],
        password=credentials["password"],
        database="suppliers",
        ssl={"ca": str(authority)},
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM suppliers")
        assert cursor.fetchone()
        for statement in (
            "DELETE FROM suppliers",
            "INSERT INTO suppliers (name) VALUES ('x')",
            "DROP TABLE suppliers",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)


def test_no_password_is_shown_by_containers_logs_stacks_or_files(checkout: Checkout, deployed: str) -> None:
    with checkout.client() as client:
        assert client.get("/suppliers").status_code == 200
    secrets = passwords(checkout)
    assert len(secrets) == 4, "administrator, migrator and two services"
    places = dict(shown(checkout)) | {"what make printed": deployed}
    for kind in (
        "docker inspect ",
        "docker logs ",
        "/suppliers-local-compute/employee/",
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
        file = checkout.ops("backup").strip()
        for supplier in before[:2]:
            assert client.delete(f"/admin/api/suppliers/{supplier['id']}").status_code == 204
        assert len(client.get("/api/suppliers").json()["items"]) == len(before) - 2
        checkout.ops("restore", file)
        assert client.get("/api/suppliers").json()["items"] == before


def test_a_second_deploy_changes_nothing(checkout: Checkout, deployed: str) -> None:
    before = checkout.tasks()
    printed = checkout.make("deploy")
    assert len(re.findall(r": no changes$", printed, re.MULTILINE)) == 4
    assert checkout.tasks() == before
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
        assert client.get("/").headers["x-service-version"] != old


def test_production_is_rehearsed_with_exactly_its_templates(checkout: Checkout, deployed: str) -> None:
    port = free_port(checkout.port + 1)
    printed = checkout.make("rehearse", "ENV=prod", port=port)
    assert "/admin/suppliers: 403" in printed, "the administration of prod is closed from outside"
    assert re.search(r"^Application +https://suppliers-prod\.alb\.localhost:\d+/$", printed, re.MULTILINE)
    cloudformation = Checkout(checkout.folder, port).aws().client("cloudformation")
    synthesized = json.loads((checkout.folder / "cdk.out/Compute.template.json").read_text())
    live = cloudformation.get_template(StackName="suppliers-prod-compute")["TemplateBody"]
    assert (json.loads(live) if isinstance(live, str) else live) == synthesized
    assert {key.split("::")[-1] for key in _types(synthesized)} >= {
        "DeploymentGroup",
        "Certificate",
        "RecordSet",
    }


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
