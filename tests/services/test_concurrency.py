"""Many clients at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.services.harness import VALID, Site

API = "/admin/api/suppliers"


def test_of_twenty_clients_writing_at_once_every_acknowledged_write_is_there(mysql_only: Site) -> None:
    def write(worker: int) -> list[tuple[int, str]]:
        done = []
        with httpx.Client(base_url=mysql_only.employee.url, timeout=30) as client:
            for number in range(25):
                name = f"Worker {worker} number {number}"
                answer = client.post(API, json={**VALID, "name": name})
                assert answer.status_code == 201, answer.text
                if number % 5 == 0:
                    name += " edited"
                    place = answer.headers["location"]
                    changed = client.put(
                        place, json={**VALID, "name": name}, headers={"If-Match": answer.headers["etag"]}
                    )
                    assert changed.status_code == 200
                done.append((answer.json()["id"], name))
        return done

    with ThreadPoolExecutor(20) as pool:
        acknowledged = [item for done in pool.map(write, range(20)) for item in done]
    stored = {row["id"]: row["name"] for row in mysql_only.rows()}
    assert len(acknowledged) == 500
    assert {number: stored.get(number) for number, _ in acknowledged} == dict(acknowledged)


def test_of_twenty_clients_changing_one_supplier_at_once_one_wins_each_round(mysql_only: Site) -> None:
    number = mysql_only.add()

    def change(worker: int) -> int:
        answer = httpx.put(
            f"{mysql_only.employee.url}{API}/{number}",
            json={**VALID, "city": f"City {worker}"},
            headers={"If-Match": '"1"'},
            timeout=30,
        )
        return answer.status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(change, range(20)))
    assert statuses == [200] + [409] * 19
    assert mysql_only.rows()[0]["version"] == 2


def test_of_twenty_equal_requests_at_once_one_supplier_is_made(mysql_only: Site) -> None:
    def create(_: int) -> tuple[int, int]:
        answer = httpx.post(
            f"{mysql_only.employee.url}{API}", json=VALID, headers={"Idempotency-Key": "same"}, timeout=30
        )
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(create, range(20)))
    assert {status for status, _ in answers} == {201}
    assert len(answers) == 1
    assert len(mysql_only.rows()) == 1
