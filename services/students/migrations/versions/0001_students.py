"""The students' table.

Forward only: a migration adds what the next release uses (expand); what no release uses any more is dropped by
a later one (contract), so that the releases before and after it both run on the schema.
"""

from directory.storage.schema import create_table_1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table_1("students")
