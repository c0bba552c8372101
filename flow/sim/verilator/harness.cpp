#include "harness.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

// The structures that flow/sim/module.py fills.
struct Stream {
    std::uint32_t* beats;  // count beats of ceil(width / 32) words
    std::int64_t count;    // beats to send, or beats expected
    std::int64_t done;     // beats sent, or beats received
};

struct Run {
    std::uint64_t seed;
    double p_valid;
    double p_ready;
    std::int64_t reset_at;  // negative: no second reset
    std::int64_t max_cycles;
    std::int64_t extra_cycles;
    std::int64_t cycles;  // result
    char error[2048];     // result
};

namespace {

using harness::Model;
using harness::Port;
using harness::StreamPort;

constexpr int reset_cycles = 3;

std::string printed;  // what the model printed by $display, $error, $fatal

[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw std::runtime_error(text);
}

// splitmix64
class Random {
public:
    explicit Random(std::uint64_t seed) : state_{seed} {}
    std::uint64_t bits() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    bool chance(double p) { return static_cast<double>(bits() >> 11) * 0x1p-53 < p; }

private:
    std::uint64_t state_;
};

struct Channel {
    StreamPort port;
    Stream* stream;
    std::size_t words;
    bool waiting = false;                // an input: its beat is not taken yet
    std::vector<std::uint32_t> garbage; // room for a beat that means nothing

    Channel(const StreamPort& p, Stream* s) : port{p}, stream{s}, words{(p.width + 31) / 32}, garbage(words) {}

    std::uint32_t* beat(std::int64_t index) const { return stream->beats + static_cast<std::size_t>(index) * words; }

    void write(const std::uint32_t* from) { std::memcpy(port.data.data, from, std::min(port.data.bytes, words * 4)); }

    void write_garbage(Random& random) {
        for (auto& word : garbage) word = static_cast<std::uint32_t>(random.bits());
        if (port.width % 32) garbage.back() &= (1u << port.width % 32) - 1;
        write(garbage.data());
    }

    void read(std::uint32_t* to) const {
        to[words - 1] = 0;
        std::memcpy(to, port.data.data, std::min(port.data.bytes, words * 4));
    }
};

class Bench {
public:
    Bench(Model& model, const Run& run, Stream* inputs, Stream* outputs)
        : model_{model}, run_{run}, random_{run.seed}, probe_{~run.seed} {
        for (std::size_t i = 0; i < model.inputs.size(); ++i) inputs_.emplace_back(model.inputs[i], &inputs[i]);
        for (std::size_t i = 0; i < model.outputs.size(); ++i) outputs_.emplace_back(model.outputs[i], &outputs[i]);
    }

    std::int64_t run() {
        reset();
        if (run_.reset_at >= 0) {
            for (std::int64_t i = 0; i < run_.reset_at; ++i) cycle();
            reset();
        }
        while (!complete(outputs_)) {
            if (cycle_ >= run_.max_cycles) fail("no end after %" PRId64 " cycles: %s", cycle_, progress().c_str());
            cycle();
        }
        const std::int64_t cycles = cycle_;
        for (std::int64_t i = 0; i < run_.extra_cycles; ++i) cycle();
        if (!complete(inputs_)) fail("all outputs came, but inputs were left over: %s", progress().c_str());
        return cycles;
    }

private:
    // The first cycle of a reset still sees what the streams offered: a synchronous reset meets live neighbours.
    void reset() {
        *model_.rst_n = 0;
        for (int i = 0; i < reset_cycles; ++i) {
            for (auto& input : inputs_) {
                input.waiting = input.waiting && i == 0;
                *input.port.valid = input.waiting;
                if (!input.waiting) input.write_garbage(random_);
            }
            for (auto& output : outputs_) *output.port.ready = random_.chance(run_.p_ready);
            tick();
        }
        *model_.rst_n = 1;
        for (auto* side : {&inputs_, &outputs_}) {
            for (auto& channel : *side) {
                channel.stream->done = 0;
                channel.waiting = false;
            }
        }
        cycle_ = 0;
    }

    void tick() {
        model_.eval();
        *model_.clk = 1;
        model_.eval();
        *model_.clk = 0;
    }

    void cycle() {
        drive();
        model_.eval();
        if (probe_.bits() % 8 == 0) probe_paths();
        for (auto& output : outputs_) observe(output);
        for (auto& input : inputs_) {
            if (input.waiting && *input.port.ready) {
                ++input.stream->done;
                input.waiting = false;
            }
        }
        try {
            tick();
        } catch (const std::exception& error) {  // such as $error of stream_assert
            fail("%s at cycle %" PRId64, error.what(), cycle_);
        }
        ++cycle_;
    }

    void drive() {
        for (auto& input : inputs_) {
            if (!input.waiting) {
                input.waiting = input.stream->done < input.stream->count && random_.chance(run_.p_valid);
                if (input.waiting) input.write(input.beat(input.stream->done));
                else input.write_garbage(random_);
                *input.port.valid = input.waiting;
            }
        }
        for (auto& output : outputs_) *output.port.ready = random_.chance(run_.p_ready);
    }

    void observe(Channel& output) {
        const auto& port = output.port;
        auto& stream = *output.stream;
        if (!*port.valid) return;
        if (stream.done == stream.count)
            fail("output %s offers a beat beyond the %" PRId64 " expected at cycle %" PRId64, port.name, stream.count, cycle_);
        if (*port.ready) output.read(output.beat(stream.done++));
    }

    // No combinational path from an output's ready to any valid, nor from an input's valid to its own ready.
    void probe_paths() {
        for (auto& cause : outputs_) {
            std::vector<std::uint8_t> before;
            for (auto& output : outputs_) before.push_back(*output.port.valid);
            *cause.port.ready ^= 1;
            model_.eval();
            for (std::size_t i = 0; i < outputs_.size(); ++i) {
                if (*outputs_[i].port.valid != before[i])
                    fail("combinational path from %s_ready_i to %s_valid_o, seen at cycle %" PRId64, cause.port.name,
                         outputs_[i].port.name, cycle_);
            }
            *cause.port.ready ^= 1;
            model_.eval();
        }
        for (auto& input : inputs_) {
            const std::uint8_t before = *input.port.ready;
            *input.port.valid ^= 1;
            model_.eval();
            if (*input.port.ready != before)
                fail("combinational path from %s_valid_i to %s_ready_o, seen at cycle %" PRId64, input.port.name,
                     input.port.name, cycle_);
            *input.port.valid ^= 1;
            model_.eval();
        }
    }

    static bool complete(const Channel& channel) { return channel.stream->done == channel.stream->count; }

    static bool complete(const std::vector<Channel>& channels) {
        return std::all_of(channels.begin(), channels.end(), [](const Channel& channel) { return complete(channel); });
    }

    std::string progress() const {
        std::string text;
        const auto add = [&text](const std::string& side, const Channel& channel) {
            text += (text.empty() ? "" : "; ") + side + " " + channel.port.name + (complete(channel) ? " is done" : " is stuck") +
                    " at beat " + std::to_string(channel.stream->done) + " of " + std::to_string(channel.stream->count);
        };
        for (const auto& input : inputs_) add("input", input);
        for (const auto& output : outputs_) add("output", output);
        return text;
    }

    Model& model_;
    const Run& run_;
    Random random_;
    Random probe_;  // apart, so that probing does not change the stimulus
    std::vector<Channel> inputs_;
    std::vector<Channel> outputs_;
    std::int64_t cycle_ = 0;
};

}  // namespace

int rtl_printf(const char* format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printed += text;
    return length;
}

// Verilator's hooks, so that $fatal, $stop, $error and a missing $readmemh file reach Python instead of ending the process.
void vl_fatal(const char* file, int line, const char*, const char* why) {
    while (!printed.empty() && printed.back() == '\n') printed.pop_back();
    fail("%s:%d: %s %s", file, line, why, printed.c_str());
}
void vl_warn(const char* file, int line, const char* at, const char* why) { vl_fatal(file, line, at, why); }
void vl_stop(const char* file, int line, const char* at) { vl_fatal(file, line, at, "$stop"); }
void vl_finish(const char* file, int line, const char* at) { vl_fatal(file, line, at, "$finish"); }

extern "C" __attribute__((visibility("default"))) int rtl_run(Run* run, Stream* inputs, Stream* outputs,
                                                              const std::uint32_t* const* constants) {
    printed.clear();
    try {
        const auto model = harness::make_model(static_cast<int>(run->seed % 0x7fffffff) + 1);
        for (std::size_t i = 0; i < model->constants.size(); ++i)
            std::memcpy(model->constants[i].data, constants[i], model->constants[i].bytes);
        run->cycles = Bench{*model, *run, inputs, outputs}.run();
        return 0;
    } catch (const std::exception& error) {
        std::snprintf(run->error, sizeof run->error, "%s", error.what());
        return 1;
    }
}
