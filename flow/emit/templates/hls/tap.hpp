/// FLOW_TAP(stream, id): in C simulation, shows a stream's frame to the testbench and leaves it as it was.
///
/// Between two calls of a dataflow region run by C simulation, a stream holds the whole frame that the first wrote. Synthesis
/// sees nothing of it.
#pragma once

#ifdef __SYNTHESIS__
#define FLOW_TAP(stream, id)
#else
#define FLOW_TAP(stream, id) flow::tap(stream, id)

#include <vector>

#include "stream_types.hpp"

namespace flow {

/// Gets the id of a stream and its beats, each in `words` 64-bit words, low part first.
using tap_function = void (*)(unsigned id, unsigned words, const std::vector<uint64_t>& beats);

/// What taps call; null, as at the start, switches them off.
inline tap_function& tap_target() {
    static tap_function target = nullptr;
    return target;
}

template <int Width> void tap(hls::stream<ap_uint<Width>>& stream, unsigned id) {
    if (!tap_target()) return;
    const unsigned Words = (Width + 63) / 64;
    std::vector<uint64_t> beats;
    for (size_t left = stream.size(); left > 0; --left) {
        const ap_uint<Width> data = stream.read();
        const chunks<Width> parts(data);
        beats.insert(beats.end(), parts.chunk, parts.chunk + Words);
        stream.write(data);
    }
    tap_target()(id, Words, beats);
}

}  // namespace flow
#endif
