from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from flow.analysis.pools import common_count, taps_counted

from .grid import grid_of
from .infer_depthwise import DepthwiseLayer
from .rewrite import Rewrite, refuse
from .window import Convolution, Weights, before_pad, pool_window


class InferPools(Rewrite):
    """Average pools become sums of each channel, which DepthwiseLayer takes on: GlobalPool, AvgPool or ReduceWindow."""

    def rewrite(self, model, pool):
        if pool.op_type not in ("AveragePool", "GlobalAveragePool"):
            return False
        conv = self._as_convolution(model, pool)
        DepthwiseLayer(model, pool, conv).replace()
        return True

    @staticmethod
    def _as_convolution(model: ModelWrapper, pool: NodeProto) -> Convolution:
        """Return the depthwise convolution with weights of 1, of which the scale is that of the mean.

        Where means are over different numbers of pixels, it is that of a mean over their least common multiple.
        """
        channels, *size = model.get_tensor_shape(pool.input[0])[1:]
        grid = grid_of(model, before_pad(model, pool))
        if grid is None:
            raise refuse(pool, "its input is not quantized", "put a quantizer in front of it")
        nodes, source, window, pad_value = pool_window(model, pool, size)
        weights, divisors = np.ones((channels, 1, *window["kernel"])), taps_counted(pool, size)
        scale = np.full(channels, 1.0 / common_count(divisors))
        convolution = Convolution(
            nodes, source, grid, Weights(weights, scale, 1, True), None, window, pad_value, depthwise=True
        )
        uneven = any(np.ptp(side) for side in divisors)
        return replace(convolution, divisors=divisors) if uneven else convolution
