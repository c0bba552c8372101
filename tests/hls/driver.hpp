// Streams and tables from and to binary files: a beat is whole 64-bit little-endian words, low part first.
#pragma once

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include "stream_types.hpp"

template <int Width> void load(const std::string& path, hls::stream<ap_uint<Width>>& stream) {
    std::ifstream file(path, std::ios::binary);
    flow::chunks<Width> parts;
    while (file.read(reinterpret_cast<char*>(parts.chunk), 8 * parts.Count)) stream.write(parts.joined());
}

template <int Width> void store(const std::string& path, hls::stream<ap_uint<Width>>& stream) {
    std::ofstream file(path, std::ios::binary);
    while (!stream.empty()) {
        const flow::chunks<Width> parts(stream.read());
        file.write(reinterpret_cast<const char*>(parts.chunk), 8 * parts.Count);
    }
}

template <class Table> void load_table(const std::string& path, Table& table) {
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(&table), sizeof table) || file.peek() != EOF)
        std::printf("ERROR: %s has not the table's %zu bytes\n", path.c_str(), sizeof table);
}

/// Time this process had a core for: other work on the machine does not count.
inline double seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }
