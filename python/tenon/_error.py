"""The one exception of the package."""


class Error(Exception):
    """Carries the message of the compiler or of the runtime."""
