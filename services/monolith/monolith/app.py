"""Customers' and employees' routes together, made of the same parts as the two services."""

from directory.services import Part, directory_service
from directory.settings import Settings
from directory.suppliers import SUPPLIERS
from directory.web import Application


def create_app(settings: Settings) -> Application:
    """The ASGI application; nothing is connected until it starts."""
    return directory_service(settings, [Part(directory=SUPPLIERS, public=True, admin=True)])
