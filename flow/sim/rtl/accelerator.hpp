// Runs a verilated accelerator_top over its buses: AXI-Lite registers, pixel and logit streams, weights from axi::ReadMemory.
// Included by the wrapper that flow/sim/accelerator_build.py writes, after Vaccelerator_top.h, with FLOW_DDR 0 or 1. Everything
// is driven from Python (deploy/simulator.py), which owns all arrays; a call ends on its own after a bounded number of cycles.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "axi_memory.hpp"
#include "harness.hpp"

#define EXPORT extern "C" __attribute__((visibility("default")))

std::unique_ptr<harness::Model> harness::make_model(int) { return nullptr; }  // harness.cpp is linked only for its error hooks

// The structures that deploy/simulator.py fills.
struct Tap {
    std::uint64_t* words;
    std::int64_t count;  // words to record
    std::int64_t done;
};

struct State {
    std::int32_t valid, ready;
};

struct Settings {
    std::uint64_t seed;
    double p_valid, p_ready;    // of s_axis, m_axis
    std::uint64_t latency;      // of the memory, cycles
    double bandwidth;           // words a cycle
    const std::uint8_t* memory; // read as the clock runs
    std::uint64_t memory_bytes;
};

struct Traffic {
    const std::uint64_t* pixels;
    std::int64_t pixel_count, pixels_done;
    std::uint32_t* logits;
    std::uint8_t* lasts;  // TLAST of each logit
    std::int64_t logit_count, logits_done;
    std::int64_t cycles;  // since construction
    std::int64_t ddr_bytes;
    char error[2048];
    std::int32_t packet;  // 1: TLAST ends the room for logits
};

namespace {

constexpr int register_timeout = 10'000;  // cycles

// The protocol of all streams is checked in each of the first cycles, then in a part of every period: to check it always makes
// the full-width networks a fifth slower.
constexpr std::int64_t checked_first = 65'536, checked_cycles = 512, checked_period = 8'192;

class Accelerator {
  public:
    Accelerator(const Settings& settings, Traffic* traffic, Tap* taps, State* states, int streams)
        : traffic_{traffic}, taps_{taps}, states_{states}, streams_{streams},
          memory_{settings.memory, settings.memory_bytes, config_of(settings)}, random_{settings.seed},
          p_valid_{settings.p_valid}, p_ready_{settings.p_ready} {
        context_.randReset(2);
        context_.randSeed(static_cast<int>(settings.seed % 0x7fffffff) + 1);
        top_ = std::make_unique<Vaccelerator_top>(&context_);
        top_->s_axi_awvalid = top_->s_axi_wvalid = top_->s_axi_bready = top_->s_axi_arvalid = top_->s_axi_rready = 0;
        top_->s_axi_awprot = top_->s_axi_arprot = 0;
        top_->s_axis_tvalid = top_->s_axis_tlast = 0;
        top_->rst_ni = 0;
        for (int i = 0; i < 4; ++i) cycle();
        top_->rst_ni = 1;
        cycle();
    }
    ~Accelerator() {
        enter();
        top_->final();
    }

    // Before each use: Verilator's runtime looks scopes up in the context of the thread, which may be that of another device, or
    // of one that is gone.
    void enter() { Verilated::threadContextp(&context_); }

    void randomize(std::uint64_t seed, double p_valid, double p_ready) {
        random_.seed(seed);
        p_valid_ = p_valid;
        p_ready_ = p_ready;
    }

    void write(std::uint32_t address, std::uint32_t data) {
        top_->s_axi_awaddr = address;
        top_->s_axi_awvalid = 1;
        top_->s_axi_wdata = data;
        top_->s_axi_wstrb = 15;
        top_->s_axi_wvalid = 1;
        top_->s_axi_bready = 1;
        bool answered = false;
        for (int i = 0; !answered; ++i) {
            if (i == register_timeout) throw std::runtime_error("AXI-Lite write is not answered");
            cycle();
            if (aw_taken_) top_->s_axi_awvalid = 0;
            if (w_taken_) top_->s_axi_wvalid = 0;
            answered = b_taken_;
        }
        top_->s_axi_bready = 0;
    }

    std::uint32_t read(std::uint32_t address) {
        top_->s_axi_araddr = address;
        top_->s_axi_arvalid = 1;
        top_->s_axi_rready = 1;
        bool answered = false;
        for (int i = 0; !answered; ++i) {
            if (i == register_timeout) throw std::runtime_error("AXI-Lite read is not answered");
            cycle();
            if (ar_taken_) top_->s_axi_arvalid = 0;
            answered = r_taken_;
        }
        top_->s_axi_rready = 0;
        return read_data_;
    }

    // Runs until all expected logits are there, at most so many cycles.
    void run(std::int64_t cycles) {
        for (std::int64_t i = 0; i < cycles && traffic_->logits_done < traffic_->logit_count; ++i) cycle();
    }

    // Runs whether logits are expected or not.
    void advance(std::int64_t cycles) {
        for (std::int64_t i = 0; i < cycles; ++i) cycle();
    }

    // A pixel beat that was offered and not taken is forgotten: only right while the core is in reset.
    void restart_input() {
        top_->s_axis_tvalid = 0;
        waiting_ = false;
        logit_waiting_ = false;
    }

    void snapshot() {
        std::memset(states_, 0, sizeof *states_ * streams_);
        snapshot_ = true;
        cycle();
        snapshot_ = false;
    }

    void beat(int id, std::uint64_t word) {
        Tap& tap = taps_[id];
        if (tap.done < tap.count) {
            tap.words[tap.done] = word;
            if (++tap.done == tap.count && --taps_open_ == 0) recording_ = false;
        }
    }

    void open_taps() {
        taps_open_ = 0;
        for (int i = 0; i < streams_; ++i) taps_open_ += taps_[i].count > 0;
        recording_ = taps_open_ > 0;
    }

    void state(int id, int valid, int ready) { states_[id] = {valid, ready}; }

    std::string violations() const {
        std::string text = bus_errors_;
        for (const auto& violation : memory_.violations()) text += "m_axi, " + violation + "\n";
        return text;
    }

  private:
    static axi::MemoryConfig config_of(const Settings& s) {
        axi::MemoryConfig config;
        config.latency = static_cast<unsigned>(s.latency);
        config.bandwidth = s.bandwidth;
        config.seed = s.seed;
        return config;
    }

    bool checking() const {
        return traffic_->cycles < checked_first || traffic_->cycles % checked_period < checked_cycles;
    }

    bool chance(double p) { return p >= 1.0 || std::uniform_real_distribution<double>()(random_) < p; }

    void cycle() {
        auto& top = *top_;
        drive_streams();
        top.taps_i = static_cast<std::uint8_t>(recording_ | snapshot_ << 1 | checking() << 2);
#if FLOW_DDR
        memory_.drive(top);
#endif
        top.clk_i = 0;
        top.eval();
        observe_streams();
#if FLOW_DDR
        memory_.clock(top);
        traffic_->ddr_bytes = static_cast<std::int64_t>(memory_.counts().bytes);
#endif
        aw_taken_ = top.s_axi_awvalid && top.s_axi_awready;
        w_taken_ = top.s_axi_wvalid && top.s_axi_wready;
        b_taken_ = top.s_axi_bvalid && top.s_axi_bready;
        ar_taken_ = top.s_axi_arvalid && top.s_axi_arready;
        r_taken_ = top.s_axi_rvalid && top.s_axi_rready;
        if (r_taken_) read_data_ = top.s_axi_rdata;
        top.clk_i = 1;
        top.eval();
        ++traffic_->cycles;
    }

    void drive_streams() {
        auto& top = *top_;
        if (!waiting_) {
            waiting_ = traffic_->pixels_done < traffic_->pixel_count && chance(p_valid_);
            top.s_axis_tvalid = waiting_;
            if (waiting_) top.s_axis_tdata = traffic_->pixels[traffic_->pixels_done];
        }
        top.m_axis_tready = traffic_->logits_done < traffic_->logit_count && chance(p_ready_);
    }

    void observe_streams() {
        auto& top = *top_;
        if (!top.rst_ni) return;  // registers may hold anything
        if (waiting_ && top.s_axis_tready) {
            waiting_ = false;
            ++traffic_->pixels_done;
        }
        if (logit_waiting_ && (!top.m_axis_tvalid || top.m_axis_tdata != logit_) && bus_errors_.empty())
            bus_errors_ = "m_axis changed before ready at cycle " + std::to_string(traffic_->cycles) + "\n";
        logit_waiting_ = top.m_axis_tvalid && !top.m_axis_tready;
        if (!top.m_axis_tvalid) return;
        logit_ = top.m_axis_tdata;
        if (!top.m_axis_tready) return;
        traffic_->logits[traffic_->logits_done] = logit_;
        traffic_->lasts[traffic_->logits_done] = top.m_axis_tlast;
        ++traffic_->logits_done;
        if (traffic_->packet && top.m_axis_tlast) traffic_->logit_count = traffic_->logits_done;
    }

    Traffic* traffic_;
    Tap* taps_;
    State* states_;
    int streams_;
    axi::ReadMemory memory_;
    std::mt19937_64 random_;
    double p_valid_, p_ready_;
    VerilatedContext context_;
    std::unique_ptr<Vaccelerator_top> top_;
    std::string bus_errors_;
    std::uint32_t logit_ = 0, read_data_ = 0;
    int taps_open_ = 0;
    bool waiting_ = false, logit_waiting_ = false, recording_ = false, snapshot_ = false;
    bool aw_taken_ = false, w_taken_ = false, b_taken_ = false, ar_taken_ = false, r_taken_ = false;
};

Accelerator* active;  // whose eval() calls stream_beat

// Runs `action`; an exception, such as $fatal in a module, becomes text in `error`.
template <class Action>
int guarded(Accelerator* accelerator, char (&error)[2048], Action action) {
    active = accelerator;
    if (accelerator) accelerator->enter();
    std::string text;
    try {
        action();
        if (accelerator) text = accelerator->violations();
    } catch (const std::exception& exception) {
        text = exception.what();
    }
    std::snprintf(error, sizeof error, "%s", text.c_str());
    return !text.empty();
}

}  // namespace

extern "C" void stream_beat(int id, unsigned long long word) { active->beat(id, word); }
extern "C" void stream_state(int id, int valid, int ready) { active->state(id, valid, ready); }

EXPORT Accelerator* accelerator_new(const Settings* settings, Traffic* traffic, Tap* taps, State* states, int streams) {
    Accelerator* made = nullptr;
    guarded(nullptr, traffic->error, [&] { made = new Accelerator(*settings, traffic, taps, states, streams); });
    return made;
}
EXPORT void accelerator_delete(Accelerator* accelerator) { delete accelerator; }
EXPORT int accelerator_write(Accelerator* accelerator, Traffic* traffic, std::uint32_t address, std::uint32_t data) {
    return guarded(accelerator, traffic->error, [&] { accelerator->write(address, data); });
}
EXPORT int accelerator_read(Accelerator* accelerator, Traffic* traffic, std::uint32_t address, std::uint32_t* data) {
    return guarded(accelerator, traffic->error, [&] { *data = accelerator->read(address); });
}
EXPORT int accelerator_run(Accelerator* accelerator, Traffic* traffic, std::int64_t cycles) {
    return guarded(accelerator, traffic->error, [&] { accelerator->run(cycles); });
}
EXPORT int accelerator_advance(Accelerator* accelerator, Traffic* traffic, std::int64_t cycles) {
    return guarded(accelerator, traffic->error, [&] { accelerator->advance(cycles); });
}
EXPORT int accelerator_snapshot(Accelerator* accelerator, Traffic* traffic) {
    return guarded(accelerator, traffic->error, [&] { accelerator->snapshot(); });
}
EXPORT void accelerator_open_taps(Accelerator* accelerator) { accelerator->open_taps(); }
EXPORT void accelerator_restart_input(Accelerator* accelerator) { accelerator->restart_input(); }
EXPORT void accelerator_randomize(Accelerator* accelerator, std::uint64_t seed, double p_valid, double p_ready) {
    accelerator->randomize(seed, p_valid, p_ready);
}
