from __future__ import annotations

from emulator.bridges.rds.replication import server_options


def test_servers_of_one_network_have_numbers_of_their_own() -> None:
    addresses = [f"172.20.{third}.{last}" for third in (254, 255) for last in range(1, 250)]
    numbers = {server_options(address)[0] for address in addresses}
    assert len(numbers) == len(addresses)
    assert all(int(number.removeprefix("--server-id=")) > 0 for number in numbers)
