"""The editors' pages: the list with what was done last, and the forms."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from directory.domain.listing import page_from
from directory.domain.model import FIELDS, MAX_ID, Entry
from directory.domain.validation import Checked, check
from directory.storage.database import DatabaseAway
from directory.storage.store import EditConflict, RequestReused
from directory.web.admin.fields import KEY_LENGTH, messages, whole_number
from directory.web.context import Context
from directory.web.pages import way_back
from directory.web.problems import Problem
from directory.web.requests import form_of, language_of
from directory.web.responses import RETRY_AFTER, html, old
from directory.web.sessions import CookieSessions, Session, SessionEnded, Sessions, SharedSessions
from directory.web.texts import Texts

_NOTICES = ("added", "saved", "deleted", "gone")


def _sessions(context: Context) -> Sessions:
    area = context.directory.editors.area
    if context.cache is None:
        return CookieSessions(area)
    return SharedSessions(
        context.cache, service=context.settings.service, plural=context.directory.plural, area=area
    )


class AdminPages:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._addresses = context.directory.editors
        self._sessions = _sessions(context)

    async def _done(self, request: Request, notice: str, entry_id: int = 0) -> Response:
        """Back to the page of the list it was done from, which tells once what was done."""
        if notice != "gone":
            request.scope["directory.change"] = True
        response = RedirectResponse(self._addresses.list + _back(request), 303)
        await self._sessions.leave_notice(request, response, f"{notice}.{entry_id}")
        return response

    async def list(self, request: Request) -> Response:
        context = self._context
        language = language_of(request.scope)
        listing, stale = await context.read_list(page_from(request.query_params))
        sent = await self._sessions.take_notice(request)
        notice = "" if stale else await self._notice(sent, context.texts[language])
        response = html(
            context.pages.list(language, listing, admin=True, stale=stale, notice=notice),
            language,
            headers=old(listing) if stale else None,
        )
        self._sessions.forget_notice(request, response)
        return response

    async def _notice(self, sent: str, t: Texts) -> str:
        kind, _, id_text = sent.partition(".")
        entry_id = whole_number(id_text, MAX_ID)
        if kind not in _NOTICES or entry_id is None:
            return ""
        if kind in ("deleted", "gone"):
            return t(f"notice_{kind}")
        try:
            entry = await self._context.store.get(entry_id)
        except DatabaseAway:
            return ""
        return t(f"notice_{kind}", name=entry.name) if entry else ""

    async def add_form(self, request: Request) -> Response:
        language = language_of(request.scope)
        session = await self._sessions.open(request)
        page = self._context.pages.form(
            language,
            typed={},
            csrf=session.token,
            back=_back(request),
            request_key=secrets.token_urlsafe(16),
        )
        return self._sessions.keep(request, session, html(page, language))

    async def add(self, request: Request) -> Response:
        language = language_of(request.scope)
        form = await form_of(request)
        session, ended = await self._confirmed(request, form)
        key = form.get("request", "")[:KEY_LENGTH]
        checked = self._check(form)
        errors = messages(self._context.texts[language], checked.errors, self._context.settings.phone_region)

        def again(status: int, *, errors: Mapping[str, str], unavailable: bool = False) -> Response:
            page = self._context.pages.form(
                language,
                typed=checked.typed,
                csrf=session.token,
                back=_back(request),
                errors=errors,
                request_key=key,
                unavailable=unavailable,
                ended=ended,
            )
            answer = html(page, language, status=status, headers=_retry(unavailable))
            return self._sessions.keep(request, session, answer)

        if ended:
            return again(403, errors={})
        if errors:
            return again(422, errors=errors)
        try:
            entry, _ = await self._context.store.create(checked.fields, request=_form_request(key))
        except RequestReused:
            # Sent before with other content, then went back and changed it: a new supplier.
            entry, _ = await self._context.store.create(checked.fields)
        except DatabaseAway:
            return again(503, errors={}, unavailable=True)
        return await self._done(request, "added", entry.id)

    def _check(self, form: Mapping[str, str]) -> Checked:
        return check({f: form.get(f, "") for f in FIELDS}, region=self._context.settings.phone_region)

    async def _confirmed(self, request: Request, form: Mapping[str, str]) -> tuple[Session, bool]:
        """The session to go on with, and whether the form is of another: then it is shown again and changes nothing."""
        try:
            return await self._sessions.confirm(request, form), False
        except SessionEnded as ended:
            return ended.session, True

    async def _entry(self, request: Request) -> Entry:
        entry = await self._context.store.get(request.path_params["id"])
        if entry is None:
            raise Problem(404)
        return entry

    async def update_form(self, request: Request) -> Response:
        language = language_of(request.scope)
        entry = await self._entry(request)
        session = await self._sessions.open(request)
        page = self._context.pages.form(
            language,
            typed=entry.fields(),
            csrf=session.token,
            back=_back(request),
            entry_id=entry.id,
            version=entry.version,
        )
        return self._sessions.keep(request, session, html(page, language))

    async def update(self, request: Request) -> Response:
        language = language_of(request.scope)
        t = self._context.texts[language]
        form = await form_of(request)
        session, ended = await self._confirmed(request, form)
        entry_id, version = (
            whole_number(form.get("id", ""), MAX_ID),
            whole_number(form.get("version", ""), MAX_ID),
        )
        if entry_id is None or version is None:
            raise Problem(400)
        checked = self._check(form)
        errors = {} if ended else messages(t, checked.errors, self._context.settings.phone_region)

        def again(
            status: int,
            *,
            version: int,
            conflict: Mapping[str, str] | None = None,
            unavailable: bool = False,
        ) -> Response:
            page = self._context.pages.form(
                language,
                typed=checked.typed,
                csrf=session.token,
                back=_back(request),
                errors=errors,
                entry_id=entry_id,
                version=version,
                conflict=conflict,
                unavailable=unavailable,
                ended=ended,
            )
            answer = html(page, language, status=status, headers=_retry(unavailable))
            return self._sessions.keep(request, session, answer)

        if ended:
            return again(403, version=version)
        if errors:
            return again(422, version=version)
        try:
            entry = await self._context.store.update(entry_id, checked.fields, version=version)
        except EditConflict as conflict:
            return again(409, version=conflict.current.version, conflict=conflict.current.fields())
        except DatabaseAway:
            return again(503, version=version, unavailable=True)
        if entry is None:
            raise Problem(404, text="conflict_gone")
        return await self._done(request, "saved", entry.id)

    async def remove_form(self, request: Request) -> Response:
        language = language_of(request.scope)
        entry = await self._entry(request)
        session = await self._sessions.open(request)
        page = self._context.pages.remove(language, entry, csrf=session.token, back=_back(request))
        return self._sessions.keep(request, session, html(page, language))

    async def remove(self, request: Request) -> Response:
        language = language_of(request.scope)
        form = await form_of(request)
        session, ended = await self._confirmed(request, form)
        version = whole_number(form["version"], MAX_ID) if "version" in form else None
        if "version" in form and version is None:
            raise Problem(400)
        if ended:
            entry = await self._context.store.get(request.path_params["id"])
            if entry is None:
                raise Problem(403)
            page = self._context.pages.remove(
                language, entry, csrf=session.token, back=_back(request), ended=True
            )
            return self._sessions.keep(request, session, html(page, language, status=403))
        try:
            deleted = await self._context.store.delete(request.path_params["id"], version=version)
        except EditConflict as conflict:
            page = self._context.pages.remove(
                language, conflict.current, csrf=session.token, back=_back(request), conflict=True
            )
            return html(page, language, status=409)
        return await self._done(request, "deleted" if deleted else "gone")


def _back(request: Request) -> str:
    """How to find the page of the list that a form was opened from; its address carries that along."""
    return way_back(page_from(request.query_params))


def _retry(unavailable: bool) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER} if unavailable else {}


def _form_request(key: str) -> str:
    return f"form:{key}" if key else ""
