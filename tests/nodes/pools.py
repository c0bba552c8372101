"""The cases of pools of 2x2 pixels."""

from hypothesis import strategies as st

from tests.nodes.harness import Case, draw_stream


def pool_case(kind, height, width, channels, p, bits, **options):
    attributes = {"height": height, "width": width, "channels": channels, "p": p, "bits": bits}
    return Case(kind, attributes, feed=places, frames=5, **options)


def any_pool(kind, least_bits):
    """Cases of any even size."""
    even = st.integers(1, 4).map(lambda half: 2 * half)
    return st.builds(pool_case, st.just(kind), even, even, st.integers(1, 5), st.just(1), st.integers(least_bits, 12))


def places(op, rng, frames, constants):
    """A frame of the lowest value, one of the highest, one with the highest at each place of a window; others."""
    x = draw_stream(op.inputs()[0], rng, frames)
    x[2] = x[0]
    for c in range(op.channels):
        x[2, c // 2 % 2 :: 2, c % 2 :: 2, c] = x[1].max()
    return (x,)
