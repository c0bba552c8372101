"""The arithmetic of the nodes: the flow's own files, of which a package for the board holds a copy."""

try:
    from .nodes import NodeError, find
    from .nodes.executor import Executor, Step
except ImportError:  # beside the flow, where the originals are
    from flow.nodes import NodeError, find
    from flow.nodes.executor import Executor, Step

__all__ = ["Executor", "NodeError", "Step", "find"]
