"""Stub."""


class JaxcalcWarning(UserWarning):
    """Stub."""
