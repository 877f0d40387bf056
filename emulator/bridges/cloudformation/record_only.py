"""Resource types that ministack does not know are recorded instead of refused.

Why: its CloudFormation refuses a template with one unknown type (elastic IPs, NAT gateways, flow logs,
autoscaling, CodeDeploy, pipelines, rotation schedules...) or property (metric math), so no real stack would
deploy. A recorded resource has an id and plausible attributes, does nothing, and is shown as such in the
ledger. Unnecessary, type by type, as ministack learns them: what it can create is never recorded here.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import logging
from typing import Any

from emulator import ledger
from emulator.attributes import RecordedAttributes, physical_id
from emulator.bridges import Context, replace
from emulator.bridges.cloudformation.unique_names import TakenNames

logger = logging.getLogger("emulator.record_only")

# In ministack's refusals of what it does not model, and of a domain's zone, which exists before the stacks.
REFUSALS = ("not supported", "No hosted zone with id")

# Both bring rotation functions: from the application repository, and as a hosted rotation.
MACROS_LEFT_OUT = ("AWS::Serverless-", "AWS::SecretsManager-")


def install(context: Context) -> None:
    from ministack.services.cloudformation import changesets, engine, provisioners
    from ministack.services.cloudformation import handlers as handlers_of_api

    handlers = RecordingHandlers(
        {
            name: handler if name in ledger.RUNNING_TYPES else _recording_what_it_cannot(name, handler)
            for name, handler in provisioners._RESOURCE_HANDLERS.items()
        }
    )
    provisioners._RESOURCE_HANDLERS = handlers
    changesets._RESOURCE_HANDLERS = handlers
    for module in (changesets, engine, handlers_of_api):
        if hasattr(module, "_apply_transforms"):
            replace(module, "_apply_transforms", _without_macros)


def _without_macros(original: Any) -> Any:
    def apply(template: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Leave out macros that need more than ministack has; what they would expand is recorded as it stands."""
        from ministack.services.cloudformation import engine

        for name in engine.declared_transforms(template):
            if name.startswith(MACROS_LEFT_OUT):
                template = engine._without_transform(template, name)
        return original(template, *args, **kwargs)

    return apply


def record(
    resource_type: str, logical_id: str, stack: str, properties: dict[str, Any]
) -> tuple[str, RecordedAttributes]:
    """Physical id and attributes of a resource that is only noted."""
    from ministack.core.responses import get_account_id, get_region

    identifier = physical_id(resource_type, logical_id, stack, properties)
    logger.info("recorded only: %s %s of stack %s", resource_type, logical_id, stack)
    return identifier, RecordedAttributes(
        resource_type, logical_id, identifier, account=get_account_id(), region=get_region()
    )


class RecordingHandlers(dict[str, dict[str, Any]]):
    """ministack's table of handlers, with a recording handler for every AWS type it lacks; all refuse taken names."""

    def __init__(self, handlers: dict[str, dict[str, Any]] | None = None) -> None:
        super().__init__(handlers or {})
        self._names = TakenNames()

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or _is_recordable(key)

    def __missing__(self, key: str) -> dict[str, Any]:
        if not _is_recordable(key):
            raise KeyError(key)
        return _recording_handler(key)

    def get(self, key: str, default: Any = None) -> Any:
        # What ministack asks when it makes or removes a resource; bridges, which change handlers, index.
        return self._names.refusing(key, self[key]) if key in self else default


def _is_recordable(resource_type: object) -> bool:
    # AWS::CloudFormation::* types that ministack does not know are misspelled or macros: let it refuse them.
    return (
        isinstance(resource_type, str)
        and resource_type.startswith("AWS::")
        and resource_type.count("::") == 2
        and not resource_type.startswith("AWS::CloudFormation::")
    )


def _recording_handler(resource_type: str) -> dict[str, Any]:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, RecordedAttributes]:
        return record(resource_type, logical_id, stack, properties)

    def update(
        identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> tuple[str, RecordedAttributes]:
        _, attributes = record(resource_type, logical_id, stack, new)
        attributes.identifier = identifier
        return identifier, attributes

    def delete(identifier: str, properties: dict[str, Any]) -> None:
        logger.info("no longer recorded: %s %s", resource_type, identifier)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _recording_what_it_cannot(resource_type: str, handler: dict[str, Any]) -> dict[str, Any]:
    """A handler that records a resource one of whose properties ministack refuses (metric math in an alarm, say)."""
    recorded: set[str] = set()
    result = dict(handler)

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        try:
            return handler["create"](logical_id, properties, stack)
        except (ValueError, NotImplementedError) as error:
            if not any(text in str(error) for text in REFUSALS):
                raise
            logger.info("%s", error)
            identifier, attributes = record(resource_type, logical_id, stack, properties)
            recorded.add(identifier)
            return identifier, attributes

    def update(identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str) -> Any:
        if identifier in recorded or "update" not in handler:
            return create(logical_id, new, stack)
        names = (logical_id,) if handler.get("update_with_logical_id") else ()
        return handler["update"](identifier, old, new, stack, *names)

    def delete(identifier: str, properties: dict[str, Any], *names: str) -> None:
        if identifier in recorded:
            recorded.discard(identifier)
        else:
            handler["delete"](identifier, properties, *names)

    if "create" in handler:
        result.update(create=create)
    if "update" in handler:
        result.update(update=update, update_with_logical_id=True)
    if "delete" in handler:
        result.update(delete=delete)
    return result


def ledger_document() -> dict[str, Any]:
    """The ledger of every stack that exists now."""
    from ministack.services.cloudformation import _stacks

    entries: list[ledger.Entry] = []
    for stack in _stacks.all_values():
        if stack.get("StackStatus") == "DELETE_COMPLETE" or stack.get("StackName") == "CDKToolkit":
            continue
        entries += ledger.entries_of_stack(
            str(stack.get("StackName", "")), stack.get("_resources") or {}, RecordedAttributes
        )
    return ledger.document(entries)
