from directory.schema import run
from directory.suppliers import SUPPLIERS

run(SUPPLIERS)
