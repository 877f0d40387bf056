from customer.app import create_app
from directory.server import main

main("customer", create_app)
