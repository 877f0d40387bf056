from customer.app import create_app
from directory.web.server import main

main("customer", create_app)
