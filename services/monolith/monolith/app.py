"""Customers' and employees' routes together, made of the same parts as the two services."""

from directory.domain.suppliers import SUPPLIERS
from directory.services import Part, directory_service
from directory.settings import Settings
from directory.web.application import Application


def create_app(settings: Settings) -> Application:
    """The ASGI application; nothing is connected until it starts."""
    return directory_service(settings, [Part(directory=SUPPLIERS, public=True, admin=True)])
