"""What the tests of the binary engines share: their constants, and what they compute in plain integers."""

import numpy as np


def base_window(n: int) -> np.ndarray:
    """Return the window with which all weights of ``near_a_tie`` agree in half of their inputs."""
    return np.random.default_rng(n).choice([-1, 1], n)


def near_a_tie(features: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights [features, n] which differ from ``base_window`` in half of the inputs, rounded down."""
    flips = np.where(np.arange(n) < n // 2, -1, 1)
    return base_window(n) * rng.permuted(np.tile(flips, (features, 1)), axis=1)


def thresholds(op, rng) -> np.ndarray:
    """Return a threshold an output; the first four: never, always, only just reached, only just not always."""
    n = op.voters
    values = rng.integers(-min(n, 6), min(n, 6), op.features)
    values[:4] = (n + 1, -n, n, 1 - n)[: op.features]
    return values


def constants(op, rng) -> tuple:
    """Return weights and what the activation takes, of ordinary size."""
    weights = near_a_tie(op.features, op.synapses, rng)
    if op.activation == "threshold":
        return weights, thresholds(op, rng)
    if op.activation == "popcount_scale":
        return weights, rng.integers(-100, 101, op.features), rng.integers(-3000, 3000, op.features)
    return (weights,)


def extreme_constants(op, rng) -> tuple:
    """Return the same with multipliers of up to 32 and offsets of up to 41 bits, the ends of the former among them."""
    if op.activation != "popcount_scale":
        return constants(op, rng)
    multipliers = rng.integers(-(1 << 12), 1 << 12, op.features)
    multipliers[:2] = (-(1 << 31), (1 << 31) - 1)[: op.features]
    offsets = rng.integers(-(1 << 40), 1 << 40, op.features) >> rng.integers(0, 40, op.features)
    return near_a_tie(op.features, op.synapses, rng), multipliers, offsets


def reference(op, windows: np.ndarray, weights: np.ndarray, *constants: np.ndarray) -> np.ndarray:
    """Return the output of windows [N, OH, OW, n], by products one by one; a group of the convolution at a time."""
    sums = np.zeros((*windows.shape[:3], op.features), np.int64)
    outputs = op.features // op.conv_groups
    for g in range(op.conv_groups):
        mine, inputs = slice(g * outputs, (g + 1) * outputs), windows[..., g * op.synapses : (g + 1) * op.synapses]
        for start in range(0, op.synapses, op.group or op.synapses):
            part = slice(start, start + (op.group or op.synapses))
            products = (inputs[..., part].astype(np.int64) @ weights[mine, part].T).astype(np.int64)
            sums[..., mine] += np.where(products >= op.group_threshold, 1, -1) if op.group else products
    if op.activation == "sum":
        return sums
    if op.activation == "popcount_scale":
        half = 2 ** (op.out_bits - 1)
        exact = sums.astype(object) * constants[0] + constants[1]
        down = np.rint((exact / 2**op.shift - 0.5).astype(float)) if op.even else exact // 2**op.shift
        return down.clip(-half, half - 1).astype(np.int64)
    return 2 * (sums >= (constants[0] if constants else op.threshold)).astype(int) - 1
