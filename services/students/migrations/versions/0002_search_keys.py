"""What the students are found by.

Forward only: see the first migration.
"""

from directory.storage.schema import add_search_keys_2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_search_keys_2("students")
