"""The editors' JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from directory.domain.model import FIELDS, MAX_ID, Entry
from directory.domain.validation import Invalid, check
from directory.storage.store import EditConflict, RequestReused
from directory.web.admin.fields import KEY_LENGTH, messages, whole_number
from directory.web.context import Context
from directory.web.problems import Problem
from directory.web.public import represent
from directory.web.requests import entity_versions, json_of, language_of
from directory.web.responses import json
from directory.web.sessions import refuse_other_sites


class AdminApi:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._path = context.directory.editors.api

    async def _fields(self, request: Request) -> dict[str, str]:
        refuse_other_sites(request)
        given = await json_of(request)
        t = self._context.texts[language_of(request.scope)]
        region = self._context.settings.phone_region
        checked = check(given, region=region)
        errors = dict(checked.errors)
        # An `id` that a client got with the fields does no harm: the URL says which one is meant.
        errors |= {key: Invalid("invalid_unknown") for key in given if key not in FIELDS and key != "id"}
        if errors:
            raise Problem(422, members={"errors": messages(t, errors, region)})
        return checked.fields

    async def create(self, request: Request) -> Response:
        fields = await self._fields(request)
        key = request.headers.get("idempotency-key", "")
        if len(key) > KEY_LENGTH:
            raise Problem(400)
        try:
            entry, created = await self._context.store.create(fields, request=f"api:{key}" if key else "")
        except RequestReused:
            t = self._context.texts[language_of(request.scope)]
            raise Problem(422, members={"errors": {"Idempotency-Key": t("invalid_request_reused")}}) from None
        if created:
            request.scope["directory.change"] = True
        return json(
            represent(entry), status=201, headers={"Location": f"{self._path}/{entry.id}", "ETag": entry.etag}
        )

    async def replace(self, request: Request) -> Response:
        fields = await self._fields(request)
        wanted = request.headers.get("if-match", "").strip()
        if not wanted:
            raise Problem(428)
        entry_id = request.path_params["id"]
        try:
            if wanted == "*":
                entry = await self._context.store.update(entry_id, fields, version=None)
            else:
                entry = await self._context.store.update(
                    entry_id, fields, version=await self._version(entry_id, wanted)
                )
        except EditConflict as conflict:
            raise _conflict(conflict.current, {"id": entry_id, **fields}) from None
        if entry is None:
            raise Problem(404)
        request.scope["directory.change"] = True
        return json(represent(entry), headers={"ETag": entry.etag})

    async def delete(self, request: Request) -> Response:
        refuse_other_sites(request)
        wanted = request.headers.get("if-match", "").strip()
        entry_id = request.path_params["id"]
        version = None if wanted in ("", "*") else await self._version(entry_id, wanted)
        try:
            deleted = await self._context.store.delete(entry_id, version=version)
        except EditConflict as conflict:
            raise _conflict(conflict.current, None) from None
        if not deleted:
            raise Problem(404)
        request.scope["directory.change"] = True
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    async def _version(self, entry_id: int, wanted: str) -> int:
        """The one version that an If-Match names; -1, which no entry has, if it names none of ours."""
        versions = [
            number for text in entity_versions(wanted) if (number := whole_number(text, MAX_ID)) is not None
        ]
        if len(versions) > 1:
            current = await self._context.store.get(entry_id)
            return current.version if current and current.version in versions else -1
        return versions[0] if versions else -1


def _conflict(current: Entry, submitted: dict[str, Any] | None) -> Problem:
    members: dict[str, object] = {"current": represent(current)}
    if submitted is not None:
        members["submitted"] = submitted
    return Problem(409, members=members, headers={"ETag": current.etag})
