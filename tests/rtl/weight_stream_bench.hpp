// Runs rtl/weight_stream.sv between axi::ReadMemory and consumers that take words at random. Included by the wrapper that
// test_weight_stream.py writes, after Vweight_stream.h, with PORTS.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>

#include "harness.hpp"

std::unique_ptr<harness::Model> harness::make_model(int) { return nullptr; }  // harness.cpp is linked only for its error hooks

struct Bench {
    const std::uint8_t* memory;
    std::int64_t memory_bytes;
    const std::int64_t* regions;  // PORTS pairs from, to
    std::int64_t latency, jitter, outstanding, seed;
    double bandwidth, p_arready;
    std::int64_t error_from, error_to;
    const double* p_ready;          // of each port
    std::int64_t cycles;            // to run
    std::int64_t disable, enable;   // enable_i is low in cycles [disable, enable)
    std::int64_t reset, release;    // rst_ni is low in [reset, release)
    // results; words taken before `enable` do not count
    std::uint64_t* words;           // [PORTS][capacity]
    std::int64_t capacity;
    std::int64_t* taken;            // words of each port
    std::int64_t beats, bursts, most_outstanding, in_flight_at_disable, error_before, error;
    char violations[2048];
};

static void run(Bench* bench) {
    axi::MemoryConfig config;
    config.latency = bench->latency;
    config.jitter = bench->jitter;
    config.bandwidth = bench->bandwidth;
    config.outstanding = bench->outstanding;
    config.p_arready = bench->p_arready;
    config.seed = bench->seed;
    config.errors = {static_cast<std::uint64_t>(bench->error_from), static_cast<std::uint64_t>(bench->error_to)};
    for (int i = 0; i < PORTS; ++i)
        config.regions.push_back({static_cast<std::uint64_t>(bench->regions[2 * i]), static_cast<std::uint64_t>(bench->regions[2 * i + 1])});
    axi::ReadMemory memory(bench->memory, bench->memory_bytes, config);

    VerilatedContext context;
    context.randReset(2);
    context.randSeed(static_cast<int>(bench->seed));
    const auto top = std::make_unique<Vweight_stream>(&context);
    std::mt19937_64 random(bench->seed);
    std::uniform_real_distribution<double> unit;
    std::string stream_errors;
    std::uint64_t held[PORTS] = {};
    bool waiting[PORTS] = {};

    for (int i = 0; i < PORTS; ++i) {
        const std::uint32_t base = bench->regions[2 * i];
        std::memcpy(reinterpret_cast<char*>(&top->base_i) + 4 * i, &base, 4);
    }
    for (std::int64_t cycle = -3; cycle < bench->cycles; ++cycle) {
        const bool running = cycle >= 0 && !(bench->disable <= cycle && cycle < bench->enable);
        top->rst_ni = cycle >= 0 && !(bench->reset <= cycle && cycle < bench->release);
        top->enable_i = running;
        if (cycle == bench->disable) bench->in_flight_at_disable = memory.in_flight();
        if (cycle == bench->disable) bench->error_before = top->error_o;
        if (cycle == bench->enable) std::memset(bench->taken, 0, PORTS * sizeof *bench->taken);
        unsigned ready = 0;
        for (int i = 0; i < PORTS; ++i) ready |= (unit(random) < bench->p_ready[i]) << i;
        top->out_ready_i = ready;
        memory.drive(*top);
        top->clk_i = 0;
        top->eval();
        memory.clock(*top);
        for (int i = 0; i < PORTS; ++i) {
            std::uint64_t word;
            std::memcpy(&word, reinterpret_cast<const char*>(&top->out_data_o) + 8 * i, 8);
            const bool valid = cycle >= 0 && (top->out_valid_o >> i & 1);
            if (running && top->rst_ni && waiting[i] && (!valid || word != held[i])) stream_errors = "out changed before ready";
            held[i] = word;
            waiting[i] = running && valid && !(ready >> i & 1);
            if (!running || !valid || !(ready >> i & 1)) continue;
            if (bench->taken[i] < bench->capacity) bench->words[i * bench->capacity + bench->taken[i]] = word;
            ++bench->taken[i];
        }
        top->clk_i = 1;
        top->eval();
    }
    top->final();
    bench->error = top->error_o;
    bench->beats = memory.counts().beats;
    bench->bursts = memory.counts().bursts;
    bench->most_outstanding = memory.counts().most_outstanding;
    std::string text = stream_errors;
    for (const auto& violation : memory.violations()) text += violation + "\n";
    std::snprintf(bench->violations, sizeof bench->violations, "%s", text.c_str());
}

extern "C" __attribute__((visibility("default"))) void bench_run(Bench* bench) {
    try {
        run(bench);
    } catch (const std::exception& error) {
        std::snprintf(bench->violations, sizeof bench->violations, "%s", error.what());
    }
}
