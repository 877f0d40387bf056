from directory.web.server import main
from students.app import create_app

main("students", create_app)
