"""Hardware nodes: one file a node, each the definition that its HLS header and RTL module must equal."""

from .add_streams import AddStreams
from .avg_pool import AvgPool
from .base import DOMAIN, Cost, HardwareOp, Stream
from .boundary import FromStream, ToStream
from .duplicate import Duplicate
from .fifo import Fifo
from .global_pool import GlobalPool
from .group_vote import GroupVote
from .int_conv import IntConv
from .max_pool import MaxPool
from .pixel_offset import PixelOffset
from .pixel_table import PixelTable
from .prelu import PReLU
from .repeat_channels import RepeatChannels
from .rprelu import RPReLU
from .sample import Sample
from .sign_threshold import SignThreshold
from .sliding_window import SlidingWindow
from .vote_select import VoteSelect
from .weight_stationary import WeightStationary
from .width_converter import WidthConverter
from .xnor_popcount import XnorPopcount

NODES = (
    AddStreams,
    AvgPool,
    Duplicate,
    Fifo,
    GlobalPool,
    IntConv,
    MaxPool,
    PixelOffset,
    PixelTable,
    PReLU,
    RepeatChannels,
    RPReLU,
    Sample,
    SignThreshold,
    SlidingWindow,
    VoteSelect,
    WeightStationary,
    WidthConverter,
    XnorPopcount,
)
custom_op = {node.__name__: node for node in (*NODES, FromStream, GroupVote, ToStream)}

__all__ = ["DOMAIN", "NODES", "Cost", "HardwareOp", "Stream", "custom_op", *custom_op]
