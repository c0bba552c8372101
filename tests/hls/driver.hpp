// Streams and tables from and to binary files: a beat is whole 64-bit little-endian words, low part first.
#pragma once

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include "stream_types.hpp"

template <int Width> void load(const std::string& path, hls::stream<ap_uint<Width>>& stream) {
    std::ifstream file(path, std::ios::binary);
    uint64_t part;
    for (;;) {
        ap_uint<Width> data = 0;
        for (int low = 0; low < Width; low += 64) {
            if (!file.read(reinterpret_cast<char*>(&part), sizeof part)) return;
            data.range(low + 63 < Width ? low + 63 : Width - 1, low) = part;
        }
        stream.write(data);
    }
}

template <int Width> void store(const std::string& path, hls::stream<ap_uint<Width>>& stream) {
    std::ofstream file(path, std::ios::binary);
    while (!stream.empty()) {
        const ap_uint<Width> data = stream.read();
        for (int low = 0; low < Width; low += 64) {
            const uint64_t part = data.range(low + 63 < Width ? low + 63 : Width - 1, low).to_uint64();
            file.write(reinterpret_cast<const char*>(&part), sizeof part);
        }
    }
}

template <class Table> void load_table(const std::string& path, Table& table) {
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(&table), sizeof table) || file.peek() != EOF)
        std::printf("ERROR: %s has not the table's %zu bytes\n", path.c_str(), sizeof table);
}

/// Time this process had a core for: other work on the machine does not count.
inline double seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }
