from employee.app import create_app
from directory.server import main

main("employee", create_app)
