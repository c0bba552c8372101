"""Instances of the activations, which are functions of a sum: the driver puts streams around them."""

import numpy as np

from flow.sim.streams import to_beats

from .harness import Instance

DEFINITIONS = """
template <class Activation, unsigned Pe, unsigned Passes, unsigned Pixels, class... Tables>
void activate(hls::stream<flow::beat<Pe, 32>>& in, hls::stream<flow::beat<Pe, Activation::OutBits>>& out,
              const Tables&... tables) {
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
            int32_t s[Pe], y[Pe];
            flow::unpack_signed<Pe, 32>(in.read(), s);
            for (unsigned e = 0; e < Pe; ++e) y[e] = Activation::apply(s[e], e, pass, tables...);
            out.write(flow::pack<Pe, Activation::OutBits>(y));
        }
    }
}
"""


def activation_instance(name, kind, sums, pe, bits, **tables):
    """``sums`` [pixels, channels] through the activation of C++ type ``kind``; ``tables``: arrays [channels]."""
    pixels, channels = sums.shape
    folded = {table: (f"{values.dtype}_t", values.reshape(-1, pe)) for table, values in tables.items()}
    return Instance(
        name,
        f"activate<flow::{kind}, {pe}, {channels // pe}, {pixels}>",
        inputs={"in": (to_beats(sums, pe, 32), 32 * pe)},
        outputs={"out": pe * bits},
        tables=folded,
        arguments=("in", "out", *folded),
        frames=1,
    )


def random_sums(n, channels, seed=0):
    """Sums of ``n`` signs: 0 or 1 and its neighbours, both ends, and 64 more."""
    ends = np.array([-n, -n + 2, -2 + n % 2, n % 2, 2 + n % 2, n - 2, n])
    anywhere = 2 * np.random.default_rng(seed).integers(0, n + 1, (64, channels)) - n
    return np.vstack([np.repeat(ends[:, None], channels, 1), anywhere])
