"""Rewrites from QONNX to hardware nodes, in the order in which they run."""

import copy

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import SortGraph

from .finish import NameStreams, RemoveDeadNodes, RequireIntegers
from .infer_activation import InferActivation
from .infer_add_streams import InferAddStreams
from .infer_channels import InferChannels
from .infer_depthwise import InferDepthwise
from .infer_int_conv import InferIntConv
from .infer_max_pool import InferMaxPool
from .infer_pixel_offset import InferPixelOffset
from .infer_pools import InferPools
from .infer_rprelu import InferRPReLU
from .infer_sign_threshold import InferSignThreshold
from .infer_vote_select import InferVoteSelect
from .infer_xnor_popcount import InferXnorPopcount
from .join_streams import InsertDuplicates, JoinStreams, StreamBoundaries
from .rewrite import PassError
from .set_widths import SetWidths

# each leaves a graph with the same input and output, so it can be executed before and after
REAL_PASSES = (
    InferPixelOffset,
    InferXnorPopcount,
    InferDepthwise,
    InferIntConv,
    InferSignThreshold,
    InferVoteSelect,
    InferAddStreams,
    InferRPReLU,
    InferActivation,
    InferPools,
    InferMaxPool,
    InferChannels,
    JoinStreams,
    RemoveDeadNodes,
    InsertDuplicates,
    SortGraph,
)
# from here on pixels and logits are integers
INTEGER_PASSES = (StreamBoundaries, RequireIntegers, NameStreams, SetWidths)


def run_pass(model: ModelWrapper, rewrite: type[Transformation]) -> ModelWrapper:
    """Apply a pass to ``model`` itself, which stays in topological order, and return it.

    Without qonnx's clean-up after every transformation, which costs more than the passes do.
    """
    return model.transform(rewrite(), make_deepcopy=False, cleanup=False)


def to_integers(model: ModelWrapper) -> ModelWrapper:
    """Return the integer graph of ``model``, which is left as it is.

    Raises:
        PassError: a part of it has no integer form.
    """
    model = copy.deepcopy(model)
    for rewrite in (*REAL_PASSES, *INTEGER_PASSES):
        model = run_pass(model, rewrite)
    return model.cleanup()


__all__ = ["INTEGER_PASSES", "REAL_PASSES", "PassError", "run_pass", "to_integers"]
