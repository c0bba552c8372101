// The clock loop of one simulated module. Compiled once; each model only adds a list of its ports (see flow/sim/module.py).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace harness {

// A Verilator port: CData, SData, IData, QData or VlWide, all of them little-endian bytes.
struct Port {
    void* data;
    std::size_t bytes;
};

struct StreamPort {
    const char* name;
    Port data;
    unsigned width;
    std::uint8_t* valid;
    std::uint8_t* ready;
};

struct Model {
    std::uint8_t* clk = nullptr;
    std::uint8_t* rst_n = nullptr;
    std::vector<StreamPort> inputs;
    std::vector<StreamPort> outputs;
    std::vector<Port> constants;
    virtual ~Model() = default;
    virtual void eval() = 0;
};

// Written by the generated wrapper. Registers without a reset value start at random from `seed`.
std::unique_ptr<Model> make_model(int seed);

}  // namespace harness
