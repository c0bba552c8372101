"""Writes anyone's ONNX in the few forms that the compiler knows.

Every pass here changes how numbers are computed, not which: a network gives the same before and after, up to float32's
rounding. None of them knows hardware.
"""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

from .concats import Concats
from .dense import SplitGemms
from .grids import ExactGrids
from .late_pools import LatePools
from .layout import FlattenLater, ImageInput, MoveTransposes
from .means import GlobalPools, ViewedMaps
from .no_ops import RemoveNoOps, RemoveUnsqueezedNorms, SmallConstants, SqueezedRows, SumsOfTwo
from .offsets import MergeAdds, MoveOffsets, MoveScales
from .pads import Pads, WholePads
from .pointwise import FusePointwise
from .quantizers import Rounds, SignedQuants
from .read import read_file
from .refusals import RefuseReshapes, RefuseUnmapped
from .selections import Selections
from .signals import SignalsAsMaps
from .signs import BinaryWeights, Choices, Signs, Thresholds
from .tail import SplitLastConstants, SplitTail
from .windows import PlainConvs, Pools

NORMALISATIONS = (
    WholePads,
    RemoveNoOps,
    RemoveUnsqueezedNorms,
    SqueezedRows,
    SumsOfTwo,
    ViewedMaps,
    SignalsAsMaps,
    SmallConstants,
    FusePointwise,
    RefuseUnmapped,
    ImageInput,
    SplitGemms,
    MoveTransposes,
    GlobalPools,
    FoldTransposeIntoQuantInit,
    Signs,
    Choices,
    Thresholds,
    BinaryWeights,
    Rounds,
    Selections,
    Pads,
    FlattenLater,
    SplitTail,
    RefuseReshapes,
    Pools,
    LatePools,
    PlainConvs,
    Concats,
    SignedQuants,
    MoveOffsets,
    MoveScales,
    MergeAdds,
    ExactGrids,
    SplitLastConstants,
)


def normalise(model: ModelWrapper) -> ModelWrapper:
    """Return ``model`` in the compiler's forms.

    Raises:
        FlowError: a node has none; its message names the node, the reason and a way out.
    """
    for rewrite in NORMALISATIONS:
        model = model.transform(rewrite(), make_deepcopy=False, cleanup=False)
    return model


__all__ = ["NORMALISATIONS", "normalise", "read_file"]
