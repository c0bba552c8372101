"""The base of the errors that a user is meant to see. It has no imports, so that a command line starts fast."""


class ModelError(Exception):
    """Something the user can mend; the message names the thing, the value and the way out."""
