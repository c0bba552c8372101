"""The arithmetic of the nodes: the flow's own files, of which a package for the board holds a copy."""

try:
    from . import nodes
    from .nodes.executor import Executor, Step
except ImportError:  # beside the flow, where the originals are
    from flow import nodes
    from flow.nodes.executor import Executor, Step

__all__ = ["Executor", "Step", "nodes"]
