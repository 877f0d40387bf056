"""What a user is told when something cannot be done."""


class OpsError(Exception):
    """One line for the user: what is wrong, where, and what helps."""
