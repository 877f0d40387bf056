"""`python -m emulator up|down|status|images|report`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from emulator import base_images, engine, lifecycle
from emulator.errors import EmulatorError
from emulator.instance import DEFAULT_ACCOUNT, DEFAULT_PORT, DEFAULT_REGION, Instance, from_environment


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m emulator", description="A local AWS with real containers."
    )
    commands = result.add_subparsers(dest="command", required=True)
    helps = {
        "up": "start the emulator, with whatever it needs",
        "down": "stop it and remove its containers, network, volumes and state",
        "status": "tell what runs and where it is reached",
        "images": "pull or build the base images",
        "report": "tell what was really created and what was only recorded",
        "env": "print the variables that turn other tools to it, as shell commands",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, help=f"EMULATOR_PORT, else {DEFAULT_PORT}")
        command.add_argument("--account", help=f"default {DEFAULT_ACCOUNT}")
        command.add_argument("--region", help=f"default {DEFAULT_REGION}")
        command.add_argument("--json", action="store_true", help="machine-readable output")
        if name == "down":
            command.add_argument("--images", action="store_true", help="also remove the images built for it")
    return result


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        instance = from_environment(port=options.port, account=options.account, region=options.region)
        return _run(options, instance)
    except EmulatorError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, instance: Instance) -> int:
    def say(text: str) -> None:
        print(f"emulator: {text}", file=sys.stderr, flush=True)

    if options.command == "up":
        _tell(options, lifecycle.up(instance, say))
    elif options.command == "down":
        lifecycle.down(instance, images=options.images, say=say)
    elif options.command == "status":
        found = lifecycle.status(instance)
        _tell(options, found)
        return 0 if found["running"] else 3
    elif options.command == "images":
        engine.ensure(say)
        base_images.ensure(say)
    elif options.command == "env":
        for name, value in lifecycle.environment(instance).items():
            print(f"export {name}='{value}'")
    elif options.command == "report":
        document = lifecycle.ledger(instance)
        if options.json:
            print(json.dumps(document, indent=2))
        else:
            from emulator import report

            report.show(document)
    return 0


def _tell(options: argparse.Namespace, found: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(found, indent=2))
        return
    if not found["running"]:
        print(f"not running on port {found['port']}")
        return
    print(f"running on {found['url']} (account {found['account']}, {found['region']}), log {found['log']}")
    for listener in found["listeners"]:
        print(
            f"  {listener['protocol']} {listener['port']} of {listener['load_balancer']}: {listener['url']}"
        )
    for database in found["databases"]:
        print(
            f"  database {database['address']}:{database['port']} ({database['server']}), {database['state']}"
        )
    for container in found["containers"]:
        print(f"  container {container['name']}: {container['status']}")


if __name__ == "__main__":
    sys.exit(main())
