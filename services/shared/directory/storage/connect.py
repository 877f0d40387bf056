"""The database that a service's settings name."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from directory.settings import Settings, SettingsError
from directory.storage.credentials import FixedCredentials, SecretCredentials
from directory.storage.database import Database
from directory.storage.engine import Engine
from directory.storage.mysql import MySQL
from directory.storage.reader import WithReader


def connect(settings: Settings) -> Database:
    """The database that the settings name; no connection is made yet."""
    if not settings.database_url:
        # Of both servers: what the one refuses and has read again, the other one is given too.
        credentials = SecretCredentials(settings.db_secret_arn)
        writer = MySQL(
            host=settings.db_host,
            port=settings.db_port,
            database=settings.db_name,
            credentials=credentials,
            tls_ca=settings.db_tls_ca,
            size=settings.pool_size,
            proxy=settings.db_proxy,
        )
        if not settings.db_reader_host:
            return writer
        reader = MySQL(
            host=settings.db_reader_host,
            port=settings.db_reader_port,
            database=settings.db_name,
            credentials=credentials,
            tls_ca=settings.db_tls_ca,
            size=settings.pool_size,
            name="the reader",
        )
        return WithReader(writer, reader)
    try:
        url = make_url(settings.database_url)
    except Exception as error:
        raise SettingsError("DATABASE_URL: not a SQLAlchemy URL") from error
    if url.get_backend_name() in ("mysql", "mariadb"):
        return MySQL(
            host=url.host or "localhost",
            port=url.port or 3306,
            database=url.database or "",
            credentials=FixedCredentials(url.username or "", url.password or ""),
            tls_ca=settings.db_tls_ca,
            size=settings.pool_size,
            proxy=settings.db_proxy,
        )
    return Engine(url)
