/// What the top says of its streams, shared arrays and processes: to Vitis HLS plain declarations and calls.
///
/// flow's own hls_stream.h, which C simulation of a build is compiled with, has other definitions (and what they mean): there
/// the processes run beside each other, and streams are as deep as they are in hardware.
#pragma once

#include "stream_types.hpp"

#ifndef FLOW_CONCURRENT
#define FLOW_PROCESS(...) __VA_ARGS__
#define FLOW_STREAM(stream, id, depth)
#define FLOW_PING_PONG(name, extents, ...) __VA_ARGS__ name extents
#define FLOW_FILL(name) name
#define FLOW_USE(name) name
#endif
