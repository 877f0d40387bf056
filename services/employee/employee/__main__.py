from directory.web.server import main
from employee.app import create_app

main("employee", create_app)
