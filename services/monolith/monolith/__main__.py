import os

from directory.web.server import main
from monolith.app import create_app
from monolith.schema import ensure

os.environ.setdefault("DATABASE_URL", "sqlite:///suppliers.db")
ensure(os.environ["DATABASE_URL"])
main("monolith", create_app)
