from directory.storage.schema import run
from students.records import STUDENTS

run(STUDENTS)
