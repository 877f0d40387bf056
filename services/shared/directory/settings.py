"""Settings of a service process, read once from its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phonenumbers import SUPPORTED_REGIONS


class SettingsError(ValueError):
    """One readable line that says which variable is wrong and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Validated values; nothing below this reads environment variables.

    `db_reader_host` names a server that follows the database and is only read; empty means that there is none.
    """

    service: str
    environment: str = "local"
    version: str = "unknown"
    port: int = 8080
    database_url: str = ""
    db_host: str = ""
    db_port: int = 3306
    db_reader_host: str = ""
    db_reader_port: int = 3306
    db_name: str = ""
    db_secret_arn: str = ""
    db_tls_ca: str = ""
    db_proxy: bool = False
    pool_size: int = 5
    # Without a host there is no shared cache; without a user nobody signs in to it.
    cache_host: str = ""
    cache_port: int = 6379
    cache_tls_ca: str = ""
    cache_user: str = ""
    cache_name: str = ""
    cache_region: str = ""
    trusted_hosts: frozenset[str] = frozenset()
    phone_region: str = "US"
    # Whether browsers speak TLS to something in front that does not tell so.
    public_https: bool = False
    # For how long something in front may keep a public page for everybody; 0: nothing is in front.
    shared_cache_seconds: int = 0
    # The load balancer keeps idle connections for 60 s; it must never reuse one that is being closed here.
    keep_alive_seconds: int = 75
    # Below the 30 s after which ECS kills, with room for the rest of the shutdown.
    stop_seconds: int = 20

    @property
    def public_cache(self) -> str:
        """The Cache-Control of what everybody may read: a browser always asks again, what is in front may keep it."""
        seconds = self.shared_cache_seconds
        return f"max-age=0, s-maxage={seconds}" if seconds else "no-cache"

    @classmethod
    def from_environment(cls, env: Mapping[str, str], *, service: str) -> Settings:
        database_url = env.get("DATABASE_URL", "")
        if not database_url:
            missing = [
                name for name in ("DB_HOST", "DB_NAME", "DB_SECRET_ARN") if not env.get(name, "").strip()
            ]
            if missing:
                raise SettingsError(
                    f"set DATABASE_URL, or DB_HOST, DB_NAME and DB_SECRET_ARN; missing: {', '.join(missing)}"
                )
        for name in ("DB_TLS_CA", "CACHE_TLS_CA"):
            if env.get(name) and not Path(env[name]).is_file():
                raise SettingsError(f"{name}: no such file: {env[name]}")
        if env.get("CACHE_USER"):
            missing = [name for name in ("CACHE_NAME", "CACHE_TLS_CA", "AWS_REGION") if not env.get(name)]
            if missing:
                raise SettingsError(f"CACHE_USER: signs in by its role; missing: {', '.join(missing)}")
        hosts = (host.strip().lower() for host in env.get("TRUSTED_HOSTS", "").split(","))
        region = env.get("PHONE_REGION", "US").upper()
        if region not in SUPPORTED_REGIONS:
            raise SettingsError(
                f"PHONE_REGION: {region!r} is no country that numbers belong to, such as US or DE"
            )
        scheme = env.get("PUBLIC_SCHEME", "http").lower()
        if scheme not in ("http", "https"):
            raise SettingsError(f"PUBLIC_SCHEME: {scheme!r} is neither http nor https")
        return cls(
            service=env.get("SERVICE_NAME", service),
            environment=env.get("ENVIRONMENT", "local"),
            version=env.get("VERSION", "unknown"),
            port=_number(env, "PORT", 8080, 1, 65535),
            database_url=database_url,
            db_host=env.get("DB_HOST", ""),
            db_port=_number(env, "DB_PORT", 3306, 1, 65535),
            db_reader_host=env.get("DB_READER_HOST", "").strip(),
            db_reader_port=_number(env, "DB_READER_PORT", 3306, 1, 65535),
            db_name=env.get("DB_NAME", ""),
            db_secret_arn=env.get("DB_SECRET_ARN", ""),
            db_tls_ca=env.get("DB_TLS_CA", ""),
            db_proxy=_flag(env, "DB_PROXY"),
            pool_size=_number(env, "DB_POOL_SIZE", 5, 1, 100),
            cache_host=env.get("CACHE_HOST", ""),
            cache_port=_number(env, "CACHE_PORT", 6379, 1, 65535),
            cache_tls_ca=env.get("CACHE_TLS_CA", ""),
            cache_user=env.get("CACHE_USER", ""),
            cache_name=env.get("CACHE_NAME", ""),
            cache_region=env.get("AWS_REGION", ""),
            trusted_hosts=frozenset(host for host in hosts if host),
            phone_region=region,
            public_https=scheme == "https",
            shared_cache_seconds=_number(env, "SHARED_CACHE_SECONDS", 0, 0, 3600),
            keep_alive_seconds=_number(env, "KEEP_ALIVE_SECONDS", 75, 1, 3600),
            stop_seconds=_number(env, "STOP_SECONDS", 20, 1, 110),
        )


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower() or "false"
    if text not in ("true", "false"):
        raise SettingsError(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingsError(f"{name}: {text!r} is not a number from {low} to {high}")
    return int(text)
