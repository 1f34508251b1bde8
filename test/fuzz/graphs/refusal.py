"""What says that a node is not to be added."""


class Refused(Exception):
    """The operands do not suit the operator: take others."""
