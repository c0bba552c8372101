"""Rewrites from QONNX to hardware nodes, in the order in which they run."""

from qonnx.transformation.general import SortGraph

from .finish import NameStreams, RemoveDeadNodes, RequireIntegers
from .infer_add_streams import InferAddStreams
from .infer_channels import InferChannels
from .infer_int_conv import InferIntConv
from .infer_max_pool import InferMaxPool
from .infer_pixel_offset import InferPixelOffset
from .infer_pools import InferPools
from .infer_prelu import InferPReLU
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
    InferSignThreshold,
    InferXnorPopcount,
    InferVoteSelect,
    InferAddStreams,
    InferRPReLU,
    InferPReLU,
    InferPools,
    InferMaxPool,
    InferChannels,
    InferIntConv,
    JoinStreams,
    RemoveDeadNodes,
    InsertDuplicates,
    SortGraph,
)
# from here on pixels and logits are integers
INTEGER_PASSES = (StreamBoundaries, RequireIntegers, NameStreams, SetWidths)

__all__ = ["INTEGER_PASSES", "REAL_PASSES", "PassError"]
