"""The exception of the nodes, which know nothing of the rest of the flow."""


class NodeError(ValueError):
    """A node cannot do what its attributes ask for; the message names the value and the way out, not the node."""
