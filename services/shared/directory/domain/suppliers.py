"""The suppliers' directory."""

from sqlalchemy import MetaData

from directory.domain.model import Directory, directory_table

SUPPLIERS = Directory(singular="supplier", plural="suppliers", table=directory_table("suppliers", MetaData()))
