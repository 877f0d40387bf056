"""The shape of a directory: one table of people or firms with an address, and its names in URLs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import BINARY, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text
from sqlalchemy.dialects.mysql import TEXT as MYSQL_TEXT

FIELDS = ("name", "address", "city", "state", "email", "phone")
SEARCHED = ("name", "city", "state", "email")
SORTS = ("name", "city", "state", "email")
LENGTHS = {"name": 255, "address": 255, "city": 255, "state": 255, "email": 254, "phone": 100}
MAX_ID = 2**31 - 1

_DIGEST = LargeBinary(32).with_variant(BINARY(32), "mysql", "mariadb")
_KEYS = Text().with_variant(MYSQL_TEXT(charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where one audience finds the pages and the JSON of a directory; `area` is the path above all of it."""

    area: str
    list: str
    api: str
    add: str = ""
    update: str = ""
    remove: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory's table, the words its URLs are made of, and the texts that are its own.

    Readers and editors have addresses of their own (`/suppliers`, `/admin/suppliers`). A `standalone` directory
    has editors only, and all that it is lies below `/<plural>`.
    """

    singular: str
    plural: str
    table: Table
    texts: Path | None = None
    standalone: bool = False

    @property
    def readers(self) -> Addresses:
        return Addresses(area="/", list=f"/{self.plural}", api=f"/api/{self.plural}")

    @property
    def editors(self) -> Addresses:
        if self.standalone:
            area = f"/{self.plural}"
            return Addresses(
                area=area,
                list=area,
                api=f"{area}/api",
                add=f"{area}/add",
                update=f"{area}/update",
                remove=f"{area}/remove",
            )
        return Addresses(
            area="/admin",
            list=f"/admin/{self.plural}",
            api=f"/admin/api/{self.plural}",
            add=f"/admin/{self.singular}-add",
            update=f"/admin/{self.singular}-update",
            remove=f"/admin/{self.singular}-remove",
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as readers see it."""

    id: int
    name: str
    address: str
    city: str
    state: str
    email: str
    phone: str
    version: int

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def fields(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}


def directory_table(name: str, metadata: MetaData) -> Table:
    """A table whose list can be read in each sort order from an index, and searched by words.

    `version` counts edits (the ETag). `request_key` and `request_digest` make a create repeatable: they are
    in the row itself so that the supplier and the proof of its request are written by one statement.
    `search_keys` is what the row is found by (`words.py`), as it was at `keys_version`: who writes without knowing of
    it, as the release before or a person does, leaves another version there, and the row gets its keys soon after.
    """
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        *(Column(field, String(LENGTHS[field]), nullable=False) for field in FIELDS),
        Column("version", Integer, nullable=False, server_default=text("1")),
        Column("request_key", _DIGEST, nullable=True, unique=True),
        Column("request_digest", _DIGEST, nullable=True),
        Column("search_keys", _KEYS, nullable=True),
        Column("keys_version", Integer, nullable=True),
        *(Index(f"ix_{name}_{field}", field) for field in SORTS),
        Index(f"ix_{name}_keys_version", "keys_version", "version"),
        Index(f"ft_{name}_keys", "search_keys", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
    )
