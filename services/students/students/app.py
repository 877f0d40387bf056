"""The students' records, kept and read by the same people."""

from directory.services import Part, directory_service
from directory.settings import Settings
from directory.web.application import Application
from students.records import STUDENTS


def create_app(settings: Settings) -> Application:
    """The ASGI application; nothing is connected until it starts."""
    return directory_service(settings, [Part(directory=STUDENTS, admin=True)])
