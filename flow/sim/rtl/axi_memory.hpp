// An AXI4 read slave for simulation: bytes of the caller, who may change them between cycles, behind a memory controller with
// latency, bounded bandwidth and jitter, which checks the master as it goes. Works on any verilated top whose master has the
// standard names m_axi_ar*, m_axi_r*.
//
// A cycle:  memory.drive(top);  top.clk_i = 0; top.eval();  memory.clock(top);  top.clk_i = 1; top.eval();
//
// Bursts are answered in the order of their addresses. Everything the memory drives comes from its registers, so it makes
// no combinational path. While top.rst_ni is 0 the master must not offer addresses; bursts in flight stay: call forget() where the
// reset reaches the memory as well.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace axi {

struct Region {
    std::uint64_t from, to;  // [from, to)
};

struct MemoryConfig {
    unsigned latency = 30;       // cycles from the handshake of an address to its first data beat, at least; 1 or more
    unsigned jitter = 0;         // up to so many cycles more, drawn for each burst
    double bandwidth = 1.0;      // data beats a cycle, at most 1, in the long run
    unsigned outstanding = 16;   // bursts accepted and not finished, at most
    double p_arready = 1.0;      // chance in a cycle that an address is accepted
    std::uint64_t seed = 1;
    std::vector<Region> regions;  // where reads may go; empty: the whole memory
    Region errors{0, 0};          // reads here are answered with SLVERR
};

struct MemoryCounts {
    std::uint64_t cycles = 0, bursts = 0, beats = 0, bytes = 0;
    std::uint64_t most_outstanding = 0;
};

class ReadMemory {
  public:
    ReadMemory(const std::uint8_t* bytes, std::uint64_t size, MemoryConfig config = {})
        : bytes_(bytes), size_(size), config_(std::move(config)), random_(config_.seed) {}

    const MemoryCounts& counts() const { return counts_; }
    std::size_t in_flight() const { return bursts_.size(); }
    // Each "cycle 12: what"; the first 20 of them.
    const std::vector<std::string>& violations() const { return violations_; }

    void forget() {
        bursts_.clear();
        offered_ = Address{};
        rvalid_ = false;
    }

    template <class Top>
    void drive(Top& top) const {
        top.m_axi_arready = arready_;
        top.m_axi_rid = 0;
        top.m_axi_rvalid = rvalid_;
        top.m_axi_rdata = rvalid_ ? rdata_ : 0xdeaddeaddeaddeadull;
        top.m_axi_rresp = rvalid_ ? rresp_ : 0;
        top.m_axi_rlast = rvalid_ && rlast_;
    }

    template <class Top>
    void clock(const Top& top) {
        ++counts_.cycles;
        const Address address{top.m_axi_arvalid != 0, top.m_axi_araddr, top.m_axi_arlen, top.m_axi_arsize, top.m_axi_arburst};
        if (top.rst_ni) {
            accept(address);
        } else {
            offered_ = Address{};
        }
        if (rvalid_ && top.m_axi_rready) take();
        present();
        arready_ = bursts_.size() < config_.outstanding && chance(config_.p_arready);
    }

  private:
    struct Address {
        bool valid = false;
        std::uint64_t at = 0;
        unsigned len = 0, size = 0, burst = 0;
        bool operator==(const Address& other) const {
            return valid == other.valid && at == other.at && len == other.len && size == other.size && burst == other.burst;
        }
    };

    struct Burst {
        std::uint64_t at;
        unsigned left;
        std::uint64_t ready;  // cycle of the first beat
    };

    void accept(const Address& address) {
        if (offered_.valid && !(address == offered_)) violation("address changed or withdrawn before arready");
        offered_ = address.valid && !arready_ ? address : Address{};
        if (!address.valid || !arready_) return;
        check(address);
        const unsigned jitter = config_.jitter ? static_cast<unsigned>(random_() % (config_.jitter + 1)) : 0;
        bursts_.push_back({address.at, address.len + 1, counts_.cycles + config_.latency + jitter});
        ++counts_.bursts;
        counts_.most_outstanding = std::max<std::uint64_t>(counts_.most_outstanding, bursts_.size());
    }

    void check(const Address& address) {
        const std::uint64_t end = address.at + 8ull * (address.len + 1);
        if (address.len > 15) violation("burst of more than 16 beats (AXI3)");
        if (address.size != 3) violation("arsize is not 3 (8 bytes)");
        if (address.burst != 1) violation("arburst is not INCR");
        if (address.at % 8) violation("address is not a multiple of 8");
        if (address.at / 4096 != (end - 1) / 4096) violation("burst crosses 4 KiB");
        if (end > size_) violation("burst leaves the memory");
        const auto holds = [&](const Region& region) { return region.from <= address.at && end <= region.to; };
        if (!config_.regions.empty() && std::none_of(config_.regions.begin(), config_.regions.end(), holds))
            violation("burst lies in no region");
    }

    void take() {
        rvalid_ = false;
        ++counts_.beats;
        counts_.bytes += 8;
        Burst& burst = bursts_.front();
        burst.at += 8;
        if (--burst.left == 0) bursts_.pop_front();
    }

    // The data beat of the next cycle. Unused bandwidth is kept for less than two beats.
    void present() {
        credit_ = std::min(credit_ + config_.bandwidth, 1.999);
        if (rvalid_ || bursts_.empty() || credit_ < 1.0 || counts_.cycles + 1 < bursts_.front().ready) return;
        const Burst& burst = bursts_.front();
        credit_ -= 1.0;
        rvalid_ = true;
        rlast_ = burst.left == 1;
        rresp_ = config_.errors.from <= burst.at && burst.at < config_.errors.to ? 2 : 0;
        rdata_ = 0;
        if (burst.at + 8 <= size_) std::memcpy(&rdata_, bytes_ + burst.at, 8);
    }

    bool chance(double p) { return p >= 1.0 || std::uniform_real_distribution<double>()(random_) < p; }

    void violation(const char* what) {
        if (violations_.size() < 20) violations_.push_back("cycle " + std::to_string(counts_.cycles) + ": " + what);
    }

    const std::uint8_t* bytes_;
    std::uint64_t size_;
    MemoryConfig config_;
    std::mt19937_64 random_;
    MemoryCounts counts_;
    std::vector<std::string> violations_;
    std::deque<Burst> bursts_;
    Address offered_;  // not accepted yet
    double credit_ = 1.0;
    bool arready_ = false, rvalid_ = false, rlast_ = false;
    std::uint8_t rresp_ = 0;
    std::uint64_t rdata_ = 0;
};

}  // namespace axi
