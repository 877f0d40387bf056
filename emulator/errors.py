"""The one exception whose text a user sees as it is."""


class EmulatorError(Exception):
    """A problem told in one line, with its remedy."""
