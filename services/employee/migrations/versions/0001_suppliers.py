"""The suppliers' table.

Forward only: a migration adds what the next release uses (expand); what no release uses any more is dropped by
a later one (contract), so that the releases before and after it both run on the schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    digest = sa.LargeBinary(32).with_variant(sa.BINARY(32), "mysql", "mariadb")
    op.create_table(
        "suppliers",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("city", sa.String(255), nullable=False),
        sa.Column("state", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("phone", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("request_key", digest, nullable=True),
        sa.Column("request_digest", digest, nullable=True),
        sa.UniqueConstraint("request_key", name="uq_suppliers_request_key"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_engine="InnoDB",
    )
    for field in ("name", "city", "state", "email"):
        op.create_index(f"ix_suppliers_{field}", "suppliers", [field])
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        op.create_index(
            "ft_suppliers_words",
            "suppliers",
            ["name", "city", "state", "email"],
            mysql_prefix="FULLTEXT",
            mariadb_prefix="FULLTEXT",
        )
