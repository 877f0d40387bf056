"""An update that is rolled back reads anew what its custom resources answer.

Why: ministack sends the custom resources that an update changed an Update with the properties from before, but
writes whatever reads their answers as it was before the update. On AWS the answer to that Update counts, such as
the weights of a listener's rule after traffic has moved; and resources go back in the order of the template
from before, so that the answer is there first. What the update made is deleted in the clean-up, which is
ministack's own.
Unnecessary when ministack's rollback resolves Fn::GetAtt anew.

Differs from AWS: ContinueUpdateRollback retries with the properties as they were resolved first.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from emulator.bridges import Context, replace
from emulator.rollbacks import Rollback


class _Running:
    """The rollback of a stack, with the records of its resources from before the update."""

    def __init__(
        self, name: str, stack_id: str, stack: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> None:
        from ministack.services.cloudformation import engine

        before = operation["previous_stack"]
        self.records: dict[str, dict[str, Any]] = before.get("_resources") or {}
        self._operation = operation
        self._names = (name, stack_id)
        template, parameters = before.get("_template") or {}, before.get("_resolved_params") or {}
        conditions = engine._evaluate_conditions(template, parameters)
        definitions = template.get("Resources") or {}

        def resolve(resource: str, value: Any) -> Any:
            resolved = engine._resolve_refs(
                copy.deepcopy(value),
                self.records,
                parameters,
                conditions,
                template.get("Mappings") or {},
                name,
                stack_id,
            )
            known = self.records[resource].get("_dynamic")
            return engine._resolve_dynamic_references(resolved, known, reuse_ssm=True, reuse_secrets=True)[0]

        self.rollback = Rollback(
            definitions={
                each: definitions[each]
                for each in engine._topological_sort(definitions, conditions)
                if each in self.records
            },
            properties={each: record.get("Properties") or {} for each, record in self.records.items()},
            resolve=resolve,
        )
        self._changed = [each for each in operation.get("created") or [] if self._is_changed(each, stack)]

    def renew(self) -> None:
        """Write what the changed resources are to have into their records, where ministack takes it from."""
        for each in self._changed:
            self.records[each]["Properties"] = self.rollback.wanted(each)

    def before(self, resource: str) -> dict[str, Any]:
        """The properties that a resource is to have again, with the tags that the stack had."""
        return self._tagged(resource, self.records[resource], self._operation.get("previous_tags"))

    def _is_changed(self, resource: str, stack: Mapping[str, Any]) -> bool:
        """Whether the update changed it in place: ministack's list names those too that it went by."""
        old, new = self.records.get(resource), (stack.get("_resources") or {}).get(resource)
        if old is None or new is None or resource not in self.rollback.definitions:
            return False
        replaced = resource in (self._operation.get("replaced_ids") or ())
        if replaced or old["PhysicalResourceId"] != new["PhysicalResourceId"]:
            return False
        applied = self._tagged(resource, new, self._operation.get("stack_tags"))
        return applied != self.before(resource)

    def _tagged(self, resource: str, record: Mapping[str, Any], tags: Any) -> dict[str, Any]:
        from ministack.services.cloudformation import provisioners

        properties: dict[str, Any] = provisioners._with_stack_tags(
            record["ResourceType"], record.get("Properties") or {}, tags or [], *self._names, resource
        )
        return properties


_running: ContextVar[_Running | None] = ContextVar("rollback of an update", default=None)


def install(context: Context) -> None:
    from ministack.services.cloudformation import handlers, stacks

    replace(stacks, "_roll_back_operation", _rolling_back)
    # RollbackStack has it by its own name.
    replace(handlers, "_roll_back_operation", lambda original: stacks._roll_back_operation)
    replace(stacks, "_revert_update", _reverting)


def _rolling_back(original: Callable[..., Any]) -> Callable[..., Any]:
    async def roll_back(
        stack_name: str, stack_id: str, stack: dict[str, Any], operation: dict[str, Any], *more: Any
    ) -> None:
        if not operation.get("is_update") or not operation.get("previous_stack"):
            await original(stack_name, stack_id, stack, operation, *more)
            return
        running = _Running(stack_name, stack_id, stack, operation)
        scope = _running.set(running)
        try:
            ordered = {**operation, "created": running.rollback.order(operation.get("created") or [])}
            await original(stack_name, stack_id, stack, ordered, *more)
        finally:
            _running.reset(scope)

    return roll_back


def _reverting(original: Callable[..., Any]) -> Callable[..., Any]:
    async def revert(
        stack_id: str,
        stack_name: str,
        logical_id: str,
        kind: str,
        physical_id: str,
        applied: dict[str, Any],
        previous: dict[str, Any],
        attributes: Any,
        record: dict[str, Any] | None = None,
    ) -> None:
        running = _running.get()
        if running is None or logical_id not in running.rollback.definitions:
            await original(
                stack_id, stack_name, logical_id, kind, physical_id, applied, previous, attributes, record
            )
            return
        # Of the resource whose own update failed, ministack has read them before the others went back.
        running.records[logical_id]["Properties"] = running.rollback.wanted(logical_id)
        previous = running.before(logical_id)
        await original(
            stack_id, stack_name, logical_id, kind, physical_id, applied, previous, attributes, record
        )
        running.rollback.take_back(logical_id)
        running.renew()

    return revert
