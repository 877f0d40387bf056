"""Tasks of both services on one cache: a real Valkey over TLS, with the users and rights that the templates give them."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import valkey
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from valkey.exceptions import AuthenticationError, NoPermissionError, ValkeyError

from directory.settings import Settings, SettingsError
from directory.storage.shared_cache import sign_in_token
from directory.storage.shared_lists import FRESH_SECONDS, REPLICA_SECONDS
from emulator import base_images
from platform_constructs.cache.shared_cache import CacheUser
from tests.services.harness import (
    SERVICES,
    VALID,
    Service,
    docker,
    eventually,
    form_fields,
    free_port,
    migrate,
    running,
)
from tests.services.test_tls import authority, server_files

ADD = "/admin/supplier-add"
LIST = "/admin/suppliers"
SECURE = {"X-Forwarded-Proto": "https"}
ROLE = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-3"}


@dataclass
class Cache:
    """The server, and what its operator may do that no service may."""

    container: str
    port: int
    folder: Path
    clients: dict[str, Any] = field(default_factory=dict)

    def connect(self, user: str) -> Any:
        if user not in self.clients:
            self.clients[user] = valkey.Valkey(
                host="127.0.0.1",
                port=self.port,
                username=user,
                # A role's signature cannot be verified here: a user is known by its name alone.
                password="any",
                ssl=True,
                ssl_ca_certs=str(self.folder / "right.pem"),
                decode_responses=True,
            )
        return self.clients[user]

    @property
    def keys(self) -> list[str]:
        return sorted(cast("list[str]", self.connect("operator").keys("*")))

    def environment(self, user: str, authorities: str = "right.pem") -> dict[str, str]:
        return {
            "CACHE_HOST": "127.0.0.1",
            "CACHE_PORT": str(self.port),
            "CACHE_NAME": "suppliers-test",
            "CACHE_USER": user,
            "CACHE_TLS_CA": str(self.folder / authorities),
            **ROLE,
        }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    base_images.ensure_cache()
    folder = tmp_path_factory.mktemp("cache")
    server_files(folder, authority(folder, "right"))
    authority(folder, "wrong")
    users = {
        "customer": CacheUser(service="customer", tables=["suppliers"], writes=False),
        "employee": CacheUser(service="employee", tables=["suppliers"], writes=True),
    }
    lines = [f"user {name} nopass {user.access_string}" for name, user in users.items()]
    (folder / "users.acl").write_text(
        "\n".join([*lines, "user operator on nopass ~* +@all", "user default off", ""])
    )
    made = Cache(f"suppliers-test-{uuid.uuid4().hex[:12]}", free_port(), folder)
    docker(
        *("create", "--name", made.container, "-p", f"127.0.0.1:{made.port}:6379", base_images.CACHE_IMAGE),
        *("--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--aclfile", "/etc/users.acl"),
        *("--tls-cert-file", "/etc/server.pem", "--tls-key-file", "/etc/server.key"),
        *("--tls-ca-cert-file", "/etc/right.pem"),
    )
    try:
        for path in folder.iterdir():
            path.chmod(0o644)
            docker("cp", str(path), f"{made.container}:/etc/{path.name}")
        docker("start", made.container)
        eventually(lambda: answers(made), seconds=20, what="the cache answers")
        yield made
    finally:
        for client in made.clients.values():
            client.close()
        docker("rm", "-f", "-v", made.container, check=False)


def answers(cache: Cache) -> bool:
    try:
        return bool(cache.connect("operator").ping())
    except ValkeyError:
        return False


@dataclass
class Tasks:
    """Two tasks of each service on one database."""

    customers: tuple[Service, Service]
    employees: tuple[Service, Service]
    database: Engine
    cache: Cache

    def rename(self, name: str) -> None:
        """By other means than the services: nobody announces it."""
        with self.database.begin() as connection:
            connection.execute(text("UPDATE suppliers SET name = :name"), {"name": name})

    def names(self, service: Service) -> list[str]:
        area = "/admin/api" if service in self.employees else "/api"
        answer = service.client.get(f"{area}/suppliers")
        assert answer.status_code == 200, answer.text
        assert answer.json()["stale"] is False
        return [each["name"] for each in answer.json()["items"]]

    def add(self, name: str) -> None:
        answer = self.employees[0].client.post("/admin/api/suppliers", json={**VALID, "name": name})
        assert answer.status_code == 201, answer.text

    def wait(self) -> None:
        """Until every task uses the cache."""
        for task in (*self.customers, *self.employees):
            eventually(partial(uses_the_cache, task), what=f"the cache is used: {task.log}")


def uses_the_cache(task: Service) -> bool:
    return reached(task) > lost(task)


def reached(task: Service) -> int:
    return task.log.read_text().count("the cache was reached")


def lost(task: Service) -> int:
    return task.log.read_text().count("the cache is away")


@pytest.fixture(scope="module")
def site(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tasks]:
    folder = tmp_path_factory.mktemp("tasks")
    url = f"sqlite:///{folder / 'suppliers.db'}"
    migrate(url)

    def environment(service: str) -> dict[str, str]:
        return {"DATABASE_URL": url, **cache.environment(service)}

    with (
        running("customer", folder / "customer-1", environment=environment("customer")) as first,
        running("customer", folder / "customer-2", environment=environment("customer")) as second,
        running("employee", folder / "employee-1", environment=environment("employee")) as third,
        running("employee", folder / "employee-2", environment=environment("employee")) as fourth,
    ):
        engine = create_engine(url)
        yield Tasks((first, second), (third, fourth), engine, cache)
        engine.dispose()


@pytest.fixture
def tasks(site: Tasks) -> Tasks:
    """An empty directory, an empty cache, and browsers that know no session."""
    if not answers(site.cache):
        docker("start", site.cache.container, check=False)
    site.wait()
    with site.database.begin() as connection:
        connection.execute(text("DELETE FROM suppliers"))
    site.cache.connect("operator").flushall()
    for employee in site.employees:
        employee.client.cookies.clear()
    return site


def test_a_list_that_one_task_read_is_found_by_the_others_of_its_service(tasks: Tasks) -> None:
    tasks.add("Emerald")
    first, second = tasks.customers
    assert tasks.names(first) == ["Emerald"]
    tasks.rename("Changed behind the cache")
    assert tasks.names(second) == ["Emerald"]
    # Employees do not use what readers put there.
    assert tasks.names(tasks.employees[0]) == ["Changed behind the cache"]


def test_a_change_is_seen_at_once_through_every_task(tasks: Tasks) -> None:
    for number in range(5):
        for task in (*tasks.customers, *tasks.employees):
            assert len(tasks.names(task)) == number
        tasks.add(f"Roaster {number}")
    employee = tasks.employees[0].client
    (entry, *_) = employee.get("/admin/api/suppliers").json()["items"]
    assert employee.delete(f"/admin/api/suppliers/{entry['id']}").status_code == 204
    for task in (*tasks.customers, *tasks.employees):
        assert entry["name"] not in tasks.names(task)


def test_a_page_is_used_for_some_seconds_though_no_change_is_announced(tasks: Tasks) -> None:
    tasks.add("Emerald")
    (customer, _) = tasks.customers
    assert tasks.names(customer) == ["Emerald"]
    tasks.rename("Restored from a backup")
    operator, key = tasks.cache.connect("operator"), "customer:list:1:suppliers:name:1"
    version, read_at, *others = json.loads(operator.get(key))
    operator.set(key, json.dumps([version, read_at - FRESH_SECONDS + 5, *others]))
    assert tasks.names(customer) == ["Emerald"]
    operator.set(key, json.dumps([version, read_at - FRESH_SECONDS, *others]))
    assert tasks.names(customer) == ["Restored from a backup"]


def test_visitors_fill_the_cache_with_few_keys(tasks: Tasks) -> None:
    (customer, _) = tasks.customers
    for query in ("q=tea", "size=7", "page=101", "page=2&sort=-city", ""):
        assert customer.client.get(f"/api/suppliers?{query}").status_code == 200
    assert [key for key in tasks.cache.keys if ":list:" in key] == [
        "customer:list:1:suppliers:-city:2",
        "customer:list:1:suppliers:name:1",
    ]


def test_what_the_code_did_not_write_is_not_used(tasks: Tasks) -> None:
    tasks.add("Emerald")
    operator = tasks.cache.connect("operator")
    for value in ("", "[]", "null", '{"a":1}', '["",0,1,true,false,[[1,2]]]', "\x80abc"):
        operator.set("customer:list:1:suppliers:name:1", value)
        assert tasks.names(tasks.customers[0]) == ["Emerald"]


def test_a_service_has_its_own_keys_and_no_others(tasks: Tasks) -> None:
    customer, employee = tasks.cache.connect("customer"), tasks.cache.connect("employee")
    assert customer.mget("table:suppliers:version", "customer:list:x") == [None, None]
    assert employee.set("table:suppliers:version", "1")
    for user, command in (
        (customer, "SET table:suppliers:version 2"),
        (customer, "GET employee:session:x"),
        (customer, "SET employee:list:1:suppliers:name:1 []"),
        (employee, "GET customer:list:1:suppliers:name:1"),
        (employee, "KEYS *"),
        (employee, "FLUSHALL"),
        (employee, "CONFIG GET *"),
    ):
        with pytest.raises(NoPermissionError):
            user.execute_command(*command.split())
    with pytest.raises(AuthenticationError):
        tasks.cache.connect("default").ping()


def test_a_task_that_has_just_started_answers_from_the_cache_while_the_database_is_away(
    tasks: Tasks, tmp_path: Path
) -> None:
    tasks.add("Emerald")
    tasks.names(tasks.customers[0])
    nowhere = {"DATABASE_URL": f"mysql://customer:x@127.0.0.1:{free_port()}/suppliers"}
    environment = {**nowhere, **tasks.cache.environment("customer")}
    # A page of another version is none that is used while the database is there.
    tasks.cache.connect("operator").set("table:suppliers:version", "another")
    with running("customer", tmp_path / "log", wait=False, environment=environment) as task:
        answer = eventually(lambda: found(task.client.get("/api/suppliers")), seconds=20)
        assert answer.json()["stale"] is True
        assert [each["name"] for each in answer.json()["items"]] == ["Emerald"]
        assert "as it was at" in task.client.get("/suppliers").text
        # It takes no traffic before it has reached the database.
        assert task.client.get("/").status_code == 503


def found(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 200 else None


# Sessions


def test_a_session_is_shared_among_tasks_and_its_notice_is_told_once(tasks: Tasks) -> None:
    first, second = tasks.employees
    fields = first.form(ADD)
    second.client.cookies.update(first.client.cookies)
    done = second.client.post(ADD, data={**fields, **VALID})
    assert done.status_code == 303
    assert "notice" not in done.cookies
    assert f"{VALID['name']} was added" in first.client.get(LIST).text
    assert "was added" not in second.client.get(LIST).text


def test_the_browser_has_an_opaque_id_and_the_cache_a_digest_of_it(tasks: Tasks) -> None:
    answer = httpx.get(f"{tasks.employees[0].url}{ADD}", headers=SECURE)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-session=")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie
    sent = cookie.partition("=")[2].partition(";")[0]
    (key,) = [each for each in tasks.cache.keys if each.startswith("employee:session:")]
    token = form_fields(answer.text)["csrf"]
    assert sent not in answer.text
    assert len({sent, token, key.rpartition(":")[2]}) == 3
    operator = tasks.cache.connect("operator")
    assert 3500 < operator.ttl(key) <= 3600
    assert sent not in operator.get(key)


@pytest.mark.parametrize("away", [False, True])
def test_forged_forms_are_refused_with_the_cache_and_without_it(tasks: Tasks, away: bool) -> None:
    employee = tasks.employees[0]
    fields = employee.form(ADD)
    session = {"session": httpx.get(employee.url + ADD).cookies["session"]}
    if away:
        docker("kill", tasks.cache.container)
    for client, token in (
        (employee.client, fields["csrf"][:-1] + "?"),
        (employee.client, ""),
    ):
        assert client.post(ADD, data={**fields, **VALID, "csrf": token}).status_code == 403
    for cookies in (session, {"session": fields["csrf"]}, {}):
        answer = httpx.post(employee.url + ADD, data={**fields, **VALID}, cookies=cookies)
        assert answer.status_code == 403
    from_elsewhere = employee.client.post(
        ADD, data={**fields, **VALID}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert from_elsewhere.status_code == 403
    assert employee.client.get("/admin/api/suppliers").json()["total"] == 0


@pytest.mark.parametrize("end", ["removed", "too old"])
def test_a_session_that_ended_changes_nothing_and_loses_nothing(tasks: Tasks, end: str) -> None:
    employee = tasks.employees[0]
    operator = tasks.cache.connect("operator")

    def end_all() -> None:
        for key in tasks.cache.keys:
            if key.startswith("employee:session:"):
                operator.set(key, "1000") if end == "too old" else operator.delete(key)

    def refused(path: str, fields: dict[str, str]) -> dict[str, str]:
        end_all()
        before = employee.client.get("/admin/api/suppliers").json()["items"]
        answer = employee.client.post(path, data=fields)
        assert answer.status_code == 403
        assert "Your session was over" in answer.text
        assert employee.client.get("/admin/api/suppliers").json()["items"] == before
        return form_fields(answer.text)

    again = refused(ADD, {**employee.form(ADD), **VALID, "name": "Typed before lunch"})
    assert again["name"] == "Typed before lunch"
    assert employee.client.post(ADD, data=again).status_code == 303
    (entry,) = employee.client.get("/admin/api/suppliers").json()["items"]
    edit = f"/admin/supplier-update/{entry['id']}"
    again = refused("/admin/supplier-update", {**employee.form(edit), "city": "Lyon"})
    assert again["city"] == "Lyon"
    assert employee.client.post("/admin/supplier-update", data=again).status_code == 303
    remove = f"/admin/supplier-remove/{entry['id']}"
    again = refused(remove, employee.form(remove))
    assert employee.client.post(remove, data=again).status_code == 303
    assert employee.client.get("/admin/api/suppliers").json()["total"] == 0


# The cache away


def test_without_the_cache_everything_goes_on_and_with_it_again_it_is_used(tasks: Tasks) -> None:
    tasks.add("Emerald")
    employee, other = tasks.employees
    fields = employee.form(ADD)
    other.client.cookies.update(employee.client.cookies)
    docker("kill", tasks.cache.container)
    for number, task in enumerate((*tasks.customers, *tasks.employees)):
        assert len(tasks.names(task)) == 1 + (number > 3)
    # A form that was opened before, sent to another task.
    done = other.client.post(ADD, data={**fields, **VALID})
    assert done.status_code == 303
    assert f"{VALID['name']} was added" in other.client.get(LIST).text
    assert "was added" not in other.client.get(LIST).text
    assert employee.submit(ADD, **VALID).status_code == 303
    for task in (*tasks.customers, *tasks.employees):
        assert len(tasks.names(task)) == 3
    docker("start", tasks.cache.container)
    tasks.wait()
    first, second = tasks.customers
    assert len(tasks.names(first)) == 3
    tasks.rename("Changed behind the cache")
    assert "Changed behind the cache" not in tasks.names(second)


def test_a_change_that_could_not_be_announced_is_as_soon_as_the_cache_is_back(tasks: Tasks) -> None:
    tasks.add("Emerald")
    for customer in tasks.customers:
        assert tasks.names(customer) == ["Emerald"]
    operator = tasks.cache.connect("operator")
    version = operator.get("table:suppliers:version")
    operator.execute_command("ACL", "SETUSER", "employee", "off")
    try:
        operator.execute_command("CLIENT", "KILL", "USER", "employee")
        tasks.add("Added meanwhile")
        assert operator.get("table:suppliers:version") == version
    finally:
        operator.execute_command("ACL", "SETUSER", "employee", "on")
    eventually(lambda: operator.get("table:suppliers:version") != version)
    for customer in tasks.customers:
        assert "Added meanwhile" in tasks.names(customer)


def test_a_cache_that_another_authority_vouches_for_is_not_used(tasks: Tasks, tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'suppliers.db'}",
        **tasks.cache.environment("customer", "wrong.pem"),
    }
    with running("customer", tmp_path / "log", environment=environment) as task:
        eventually(lambda: "the cache cannot be reached" in task.log.read_text())
        assert "CERTIFICATE_VERIFY_FAILED" in task.log.read_text()
        assert task.client.get("/suppliers").status_code == 200
        assert reached(task) == 0


def test_lookups_are_counted_in_the_log(tasks: Tasks, tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": str(tasks.database.url),
        **tasks.cache.environment("customer"),
    }
    with running("customer", tmp_path / "log", environment=environment) as task:
        eventually(lambda: reached(task))
        for _ in range(3):
            task.client.get("/api/suppliers")
        assert task.stop() == 0
        counts = [(line["CacheHits"], line["CacheMisses"]) for line in task.lines() if "CacheHits" in line]
    assert (sum(hits for hits, _ in counts), sum(misses for _, misses in counts)) == (2, 1)
    assert "suppliers-test" not in task.log.read_text(), "a token was logged"


# Without a server


def test_a_token_is_a_request_to_connect_as_one_user_signed_by_the_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ROLE.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        service="customer",
        cache_name="suppliers-prod",
        cache_user="suppliers-prod-customer",
        cache_region="eu-west-3",
    )
    token = sign_in_token(settings)
    parts = urlsplit(f"https://{token}")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.netloc, parts.path) == ("suppliers-prod", "/")
    assert (query["Action"], query["User"]) == ("connect", "suppliers-prod-customer")
    assert query["X-Amz-Expires"] == "900"
    assert query["X-Amz-Credential"].startswith("role/")
    assert query["X-Amz-Credential"].endswith("/eu-west-3/elasticache/aws4_request")
    assert query["X-Amz-SignedHeaders"] == "host"
    assert "secret" not in token


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CACHE_PORT": "0"}, "CACHE_PORT: '0' is not a number from 1 to 65535"),
        ({"CACHE_TLS_CA": "/nowhere.pem"}, "CACHE_TLS_CA: no such file: /nowhere.pem"),
        ({"CACHE_USER": "customer", "CACHE_NAME": "x"}, "missing: CACHE_TLS_CA, AWS_REGION"),
    ],
)
def test_wrong_variables_are_told_in_one_line(variables: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.from_environment(
            {"DATABASE_URL": "sqlite:///x.db", "CACHE_HOST": "cache", **variables}, service="customer"
        )


def test_the_client_is_not_even_loaded_without_a_cache() -> None:
    program = (
        "import sys\n"
        "from directory.settings import Settings\n"
        "from monolith.app import create_app\n"
        "create_app(Settings(service='monolith', database_url='sqlite://'))\n"
        "sys.exit('valkey' in sys.modules)\n"
    )
    paths = {"PYTHONPATH": f"{SERVICES / 'shared'}:{SERVICES / 'monolith'}"}
    done = subprocess.run([sys.executable, "-c", program], env=paths, check=False, timeout=60)
    assert done.returncode == 0


def test_what_a_replica_answered_is_used_for_a_second(tasks: Tasks, tmp_path: Path) -> None:
    tasks.add("Emerald")
    operator, key = tasks.cache.connect("operator"), "customer:list:1:suppliers:name:1"
    environment = {
        "DATABASE_URL": str(tasks.database.url),
        "DB_READER_HOST": "replica",
        **tasks.cache.environment("customer"),
    }
    with running("customer", tmp_path / "log", environment=environment) as task:
        eventually(lambda: reached(task))
        assert tasks.names(task) == ["Emerald"]
        tasks.rename("Late")
        version, read_at, *others = json.loads(operator.get(key))
        operator.set(key, json.dumps([version, read_at - REPLICA_SECONDS, *others]))
        assert tasks.names(task) == ["Late"]
