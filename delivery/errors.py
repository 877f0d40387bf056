class DeliveryError(Exception):
    """A release that must not go on; the text is one for the build's log."""
