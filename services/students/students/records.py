"""What the students' records are: their table, their addresses and their texts."""

from pathlib import Path

from sqlalchemy import MetaData

from directory.domain.model import Directory, directory_table

STUDENTS = Directory(
    singular="student",
    plural="students",
    table=directory_table("students", MetaData()),
    texts=Path(__file__).with_name("texts.toml"),
    standalone=True,
)
