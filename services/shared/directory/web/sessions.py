"""What the administration remembers of one browser between its requests.

A form is taken only with the token of its session, which no other site can read or guess, and the list tells once what
was done. Without a shared cache both are in cookies of their own. With one the browser has an opaque id, and the
session is at the server, which can end it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from directory.storage.shared_cache import CacheAway, SharedCache
from directory.web.problems import Problem
from directory.web.requests import is_secure

log = logging.getLogger("directory.sessions")

# Idle time and lifetime of a session at the server, as NIST SP 800-63B has them for a person at work, rounded up to a
# form that somebody is called away from: https://pages.nist.gov/800-63-4/sp800-63b.html
IDLE_SECONDS = 3600
LIFE_SECONDS = 12 * 3600
_NOTICE_SECONDS = 60
# 32 random bytes in base64, without padding.
_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's session: `token` is what its forms repeat; `cookie` is what it still has to be given, if not ""."""

    token: str
    cookie: str = ""


class SessionEnded(Exception):
    """A form is of no session that its browser has now: it can be sent again in `session`, and changed nothing.

    A browser that comes from another site, such as a mail's, sends no strict cookies. What it opens begins a new
    session, while forms of the one before are open elsewhere: what was typed there must not be lost.
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#samesitesamesite-value
    """

    def __init__(self, session: Session) -> None:
        super().__init__("the session is over")
        self.session = session


class Sessions(Protocol):
    """Sessions of browsers, for one area of pages."""

    async def open(self, request: Request) -> Session:
        """The browser's session, or a new one."""
        ...

    async def confirm(self, request: Request, form: Mapping[str, str]) -> Session:
        """The session that a form belongs to; SessionEnded for a form of any other; Problem 403 if another site sent it."""
        ...

    def keep(self, request: Request, session: Session, response: Response) -> Response:
        """The response, which gives the browser what it needs to have the session again."""
        ...

    async def leave_notice(self, request: Request, response: Response, notice: str) -> None:
        """Have the browser's next list tell something, within a minute."""
        ...

    async def take_notice(self, request: Request) -> str:
        """What the list has to tell, once; "" if there is nothing. It may be anything that a browser sends."""
        ...

    def forget_notice(self, request: Request, response: Response) -> None:
        """Have the response take the notice from the browser, if it has one."""
        ...


def refuse_other_sites(request: Request) -> None:
    """A browser says where a request comes from; another site's is never meant."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Problem(403)


class CookieSessions:
    """Sessions that are in the browser's cookies alone: any process knows them, and none can end them."""

    def __init__(self, area: str) -> None:
        self._area = area

    async def open(self, request: Request) -> Session:
        token = _sent(request, "csrf")
        if token:
            return Session(token)
        token = secrets.token_urlsafe(32)
        return Session(token, token)

    async def confirm(self, request: Request, form: Mapping[str, str]) -> Session:
        refuse_other_sites(request)
        session = Session(_sent(request, "csrf"))
        if not _is_of(session, form):
            raise SessionEnded(await self.open(request))
        return session

    def keep(self, request: Request, session: Session, response: Response) -> Response:
        return _set_cookie(request, response, "csrf", session.cookie)

    async def leave_notice(self, request: Request, response: Response, notice: str) -> None:
        response.set_cookie(
            "notice",
            notice,
            max_age=_NOTICE_SECONDS,
            path=self._area,
            httponly=True,
            secure=is_secure(request.scope),
            samesite="strict",
        )

    async def take_notice(self, request: Request) -> str:
        return request.cookies.get("notice", "")

    def forget_notice(self, request: Request, response: Response) -> None:
        if "notice" in request.cookies:
            response.delete_cookie("notice", path=self._area)


class SharedSessions:
    """Sessions in the shared cache, under the digest of an id that only the browser has.

    The token is made from the id, so that a form is checked whether or not the cache is there; what the cache adds is
    that a session ends: after an hour without use, after twelve, or when it is removed. While it is away no session can
    have ended, and the notice goes by a cookie.
    """

    def __init__(self, cache: SharedCache, *, service: str, plural: str, area: str) -> None:
        self._cache = cache
        self._prefix = f"{service}:session"
        self._notices = f"{service}:notice:{plural}"
        self._cookies = CookieSessions(area)

    async def open(self, request: Request) -> Session:
        sent = _sent(request, "session")
        if sent and await self._lives(sent):
            return Session(_token(sent))
        return await self._new()

    async def confirm(self, request: Request, form: Mapping[str, str]) -> Session:
        refuse_other_sites(request)
        sent = _sent(request, "session")
        session = Session(_token(sent) if sent else "")
        if not _is_of(session, form):
            raise SessionEnded(await self.open(request))
        if not await self._lives(sent):
            raise SessionEnded(await self._new())
        return session

    def keep(self, request: Request, session: Session, response: Response) -> Response:
        return _set_cookie(request, response, "session", session.cookie)

    async def leave_notice(self, request: Request, response: Response, notice: str) -> None:
        try:
            await self._cache.put(
                f"{self._notices}:{_digest(_sent(request, 'session'))}",
                notice.encode(),
                seconds=_NOTICE_SECONDS,
            )
        except CacheAway:
            await self._cookies.leave_notice(request, response, notice)

    async def take_notice(self, request: Request) -> str:
        by_cookie = await self._cookies.take_notice(request)
        sent = _sent(request, "session")
        if by_cookie or not sent:
            return by_cookie
        try:
            found = await self._cache.take(f"{self._notices}:{_digest(sent)}")
        except CacheAway:
            return ""
        return (found or b"").decode("ascii", "replace")

    def forget_notice(self, request: Request, response: Response) -> None:
        self._cookies.forget_notice(request, response)

    async def _new(self) -> Session:
        made = secrets.token_urlsafe(32)
        try:
            await self._cache.put(self._key(made), b"%d" % time.time(), seconds=IDLE_SECONDS)
        except CacheAway:
            log.debug("a session began that the cache did not take")
        return Session(_token(made), made)

    async def _lives(self, sent: str) -> bool:
        try:
            began = await self._cache.get_and_keep(self._key(sent), seconds=IDLE_SECONDS)
            if began is None:
                return False
            if time.time() - int(began) < LIFE_SECONDS:
                return True
            await self._cache.remove(self._key(sent))
        except CacheAway:
            return True
        return False

    def _key(self, sent: str) -> str:
        return f"{self._prefix}:{_digest(sent)}"


def _token(of: str) -> str:
    made = hmac.new(of.encode(), b"form", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _digest(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()


def _cookie(request: Request, name: str) -> str:
    return f"__Host-{name}" if is_secure(request.scope) else name


def _sent(request: Request, name: str) -> str:
    """What the browser sent as a cookie, if we may have made it."""
    sent = request.cookies.get(_cookie(request, name), "")
    return sent if len(sent) == _LENGTH and sent.isascii() else ""


def _set_cookie(request: Request, response: Response, name: str, value: str) -> Response:
    if value:
        response.set_cookie(
            _cookie(request, name),
            value,
            path="/",
            secure=is_secure(request.scope),
            httponly=True,
            samesite="strict",
        )
    return response


def _is_of(session: Session, form: Mapping[str, str]) -> bool:
    return bool(session.token) and hmac.compare_digest(form.get("csrf", "").encode(), session.token.encode())
