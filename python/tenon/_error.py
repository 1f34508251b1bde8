"""The one exception of the package."""


class Error(Exception):
    """Carries the message of the compiler or of the runtime.

    `unsupported` is true when the model is sound but has nodes that Tenon does
    not support; the message then has one line for each of them.
    """

    def __init__(self, message, unsupported=False):
        super().__init__(message)
        self.unsupported = unsupported
