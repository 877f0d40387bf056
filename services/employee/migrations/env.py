from directory.domain.suppliers import SUPPLIERS
from directory.storage.schema import run

run(SUPPLIERS)
