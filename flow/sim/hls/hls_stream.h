/// C simulation of a dataflow region as hardware runs it: every process beside the others, streams of their depth.
///
/// Stands in for Vitis' header of this name: hls::stream has the same interface, but blocks where a stream is full or empty.
/// Each process is a fiber with a stack of its own. A fiber runs until it must wait, so a run is the same every time; where no
/// fiber can run and one is not at its end, the region hangs, and so would the accelerator.
///
///   FLOW_PROCESS(call)                a process; its next call starts when this one has ended
///   FLOW_STREAM(stream, id, depth)    the depth of a stream (2 without it) and its number, by which it is recorded
///                                     unless it is -1
///   FLOW_PING_PONG(name, extents, type)  an array between two processes, twice: one fills while the other is used
///   FLOW_FILL(name), FLOW_USE(name)   that array as the argument of the process that writes it and of the one that reads it,
///                                     which each wait for it before they start, and hold it until they end
///   flow::concurrent::run(f)          calls f, in which these stand, and runs the processes that it names
///
/// Streams and arrays that are declared in f are the same ones in every frame, known by their names. Others, as those of a
/// testbench, hold any number of beats.
#pragma once
#define FLOW_CONCURRENT

#include <ap_int.h>
#include <stdint.h>
#include <sys/mman.h>

#include <algorithm>
#include <cctype>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flow_fiber.h"

namespace flow {
namespace concurrent {

#define FLOW_SELDOM __attribute__((noinline))

const size_t Unbounded = ~size_t(0);
// Room for the memories of a process, whose elements are whole bytes here: a board with 18 Mbit of block RAM has 18 Mbyte of bits.
// Pages that are not touched cost nothing. A process that goes beyond stops the program, and writes into no other one's stack.
const size_t StackBytes = size_t(64) << 20, GuardBytes = size_t(1) << 20;
// Stacks begin at other places of their pages: at the same place, their tops would fall into the same few lines of a cache.
const size_t StackStep = 832, StackSteps = 256;

struct Process;

/// What processes wait for: a stream, or an array that two of them share.
struct Channel {
    size_t depth = Unbounded, count = 0;
    Process* waiting_to_write = nullptr;
    Process* waiting_to_read = nullptr;
    bool recorded = false;
    std::string name, variable;      // of the tensor or array, and in the code of the region
    unsigned id = 0, words = 0;      // of a recorded stream, and the 64-bit words of its beats
    std::vector<uint64_t> record;

    explicit Channel(const std::string& name) : name(name) {}
    virtual ~Channel() {}
    virtual const char* unit() const = 0;
};

/// One call of a function a frame, in order.
struct Process {
    std::string name, call;
    std::deque<std::function<void()>> calls;
    std::vector<std::function<void()>> at_end;  // of the call that runs
    unsigned frame = 0;
    Channel* waits_for = nullptr;
    bool waits_to_write = false;
    Process* after = nullptr;        // the next one that can run
    void* place = nullptr;           // where it goes on, as exchange leaves it
    void* stack = nullptr;

    ~Process() {
        if (stack) munmap(stack, StackBytes);
    }

    /// Whether `variable` is an argument of its call.
    bool takes(const std::string& variable) const {
        const auto in_word = [&](size_t at) { return at < call.size() && (std::isalnum(call[at]) || call[at] == '_'); };
        for (size_t at = call.find(variable); at != std::string::npos; at = call.find(variable, at + 1))
            if (!variable.empty() && !in_word(at - 1) && !in_word(at + variable.size())) return true;
        return false;
    }
};

/// The processes and channels of a run.
class Region {
public:
    std::map<std::string, std::unique_ptr<Channel>> channels;  // of the region
    std::vector<std::unique_ptr<Channel>> others;              // of the testbench
    std::map<std::string, size_t> depths;  // by name, instead of those that the code states
    bool unbounded = false, open = false;  // open: the calls of the region are being taken down
    bool records = false;
    Process* current = nullptr;

    Process& process(const std::string& name) {
        for (const auto& known : processes)
            if (known->name == name) return *known;
        processes.emplace_back(new Process);
        processes.back()->name = name;
        return *processes.back();
    }

    template <class C> FLOW_SELDOM C* channel(const char* name) {
        if (!open) {
            others.emplace_back(new C(name));
            return static_cast<C*>(others.back().get());
        }
        std::unique_ptr<Channel>& known = channels[name];
        if (!known) known.reset(new C(name));
        return static_cast<C*>(known.get());
    }

    /// Lets other processes run until `channel` has a beat, or room, or more of them. Returns false to a testbench at once: nothing
    /// can come for it.
    __attribute__((always_inline)) bool wait(Channel& channel, bool to_write) {
        Process* const self = current;
        if (!self) return false;
        Fiber<>::exchange(self->place, put_off(*self, channel, to_write));
        return true;
    }

    FLOW_SELDOM void wake(Process*& process) {
        process->waits_for = nullptr;
        make_ready(process);
        process = nullptr;
    }

    void run() {
        for (const auto& process : processes) make_ready(process.get());
        Fiber<>::exchange(home, next());
    }

    /// Prints a line for every process that waits, those that wait for each other as "deadlock: ", those that wait for them as
    /// "deadlock behind: ".
    void complain() const {
        const std::vector<const Process*> circle = waiting_circle();
        for (const Process* process : circle) complain_of(*process, "deadlock: ");
        bool hangs = false;
        for (const auto& process : processes) {
            if (!process->waits_for) continue;
            hangs = true;
            if (std::find(circle.begin(), circle.end(), process.get()) == circle.end())
                complain_of(*process, circle.empty() ? "deadlock: " : "deadlock behind: ");
        }
        for (const auto& known : channels)
            if (known.second->count && !hangs)
                std::cout << "WARNING: Hls::stream '" << known.first << "' contains leftover data: " << known.second->count
                          << " " << known.second->unit() << std::endl;
    }

    /// Gives each recorded stream's beats of each frame to `target`, with its id and the words of a beat.
    template <class Target> void give_records(unsigned frames, Target target) const {
        for (unsigned frame = 0; frame < frames; ++frame) {
            for (const auto& known : channels) {
                const Channel& channel = *known.second;
                if (!channel.recorded) continue;
                const size_t share = (channel.record.size() / channel.words + frames - 1) / frames * channel.words;
                const auto begin = channel.record.begin() + std::min(channel.record.size(), share * frame);
                const auto end = channel.record.begin() + std::min(channel.record.size(), share * (frame + 1));
                target(channel.id, channel.words, std::vector<uint64_t>(begin, end));
            }
        }
    }

private:
    std::vector<std::unique_ptr<Process>> processes;
    Process *first_ready = nullptr, *last_ready = nullptr;
    void* home = nullptr;            // the place of run
    size_t stacks = 0;

    static void complain_of(const Process& process, const char* what) {
        const Channel& channel = *process.waits_for;
        std::cout << what << process.name << " waits in frame " << process.frame << " to "
                  << (process.waits_to_write ? "write" : "read") << " '" << channel.name << "', which is "
                  << (process.waits_to_write ? "full" : "empty");
        if (process.waits_to_write) std::cout << " with " << channel.count << " " << channel.unit();
        std::cout << std::endl;
    }

    /// The waiting processes each of which waits for the next one, and the last for the first, from one that writes on; none
    /// where others wait for one that has ended.
    std::vector<const Process*> waiting_circle() const {
        const Process* on = nullptr;
        for (const auto& process : processes)
            if (process->waits_for) on = process.get();
        for (size_t step = 0; on && step < processes.size(); ++step) on = awaited(*on);
        std::vector<const Process*> circle;
        for (const Process* next = on; next && (next != on || circle.empty()); next = awaited(*next)) circle.push_back(next);
        const auto writes = [](const Process* process) { return process->waits_to_write; };
        std::rotate(circle.begin(), std::find_if(circle.begin(), circle.end(), writes), circle.end());
        return circle;
    }

    /// The waiting process on the other side of the channel that `process` waits for: the other one whose call names it.
    const Process* awaited(const Process& process) const {
        for (const auto& other : processes)
            if (other.get() != &process && other->waits_for && other->takes(process.waits_for->variable)) return other.get();
        return nullptr;
    }

    void make_ready(Process* process) {
        (first_ready ? last_ready->after : first_ready) = process;
        last_ready = process;
    }

    FLOW_SELDOM void* put_off(Process& self, Channel& channel, bool to_write) {
        (to_write ? channel.waiting_to_write : channel.waiting_to_read) = &self;
        self.waits_for = &channel;
        self.waits_to_write = to_write;
        return next();
    }

    /// Makes the first process that can run the one that runs; returns its place, or that of run where there is none.
    void* next() {
        current = first_ready;
        if (!current) return home;
        first_ready = current->after;
        current->after = nullptr;
        return current->place ? current->place : start(*current);
    }

    FLOW_SELDOM void* start(Process& process) {
        process.stack = mmap(nullptr, StackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (process.stack == MAP_FAILED || mprotect(process.stack, GuardBytes, PROT_NONE)) {
            std::cerr << "no memory for the stack of " << process.name << std::endl;
            abort();
        }
        char* const end = static_cast<char*>(process.stack) + StackBytes - StackStep * (stacks++ % StackSteps);
        return Fiber<>::place(static_cast<char*>(process.stack) + GuardBytes, end, enter);
    }

    static void enter();
};

/// That of the run; there is one at a time.
template <class = void> struct Held { static std::unique_ptr<Region> region; };
template <class T> std::unique_ptr<Region> Held<T>::region(new Region);
inline std::unique_ptr<Region>& region() { return Held<>::region; }

inline void Region::enter() {
    Region& all = *region();
    Process& self = *all.current;
    for (; !self.calls.empty(); self.calls.pop_front(), ++self.frame) {
        self.calls.front()();
        for (const auto& end : self.at_end) end();
        self.at_end.clear();
    }
    Fiber<>::exchange(self.place, all.next());
}

/// "nodes::name<...>(...)" to "name".
inline std::string name_of(const std::string& call) {
    const std::string function = call.substr(0, call.find_first_of("<("));
    const size_t scope = function.rfind(':');
    return scope == std::string::npos ? function : function.substr(scope + 1);
}

FLOW_SELDOM inline void start(const char* text, std::function<void()> call) {
    Process& process = region()->process(name_of(text));
    process.call = text;
    process.calls.push_back(std::move(call));
}

/// A first-in, first-out memory of `depth` beats.
template <class T> struct Fifo : Channel {
    std::unique_ptr<T[]> ring{new T[2]};
    size_t first = 0, mask = 1;      // as many places as a power of two, less one

    explicit Fifo(const std::string& name) : Channel(name) {}
    const char* unit() const override { return "beats"; }

    FLOW_SELDOM void grow() {
        std::unique_ptr<T[]> larger(new T[2 * (mask + 1)]);
        for (size_t i = 0; i < count; ++i) larger[i] = ring[(first + i) & mask];
        ring.swap(larger);
        first = 0;
        mask = 2 * mask + 1;
    }

    FLOW_SELDOM T missing() {
        std::cout << "WARNING: Hls::stream '" << name << "' is read while empty" << std::endl;
        return T();
    }
};

template <int Width> void take_down(Channel& channel, const ap_uint<Width>& beat) {
    for (unsigned k = 0; k < channel.words; ++k)
        channel.record.push_back(k == 0 ? beat.to_uint64() : (beat >> 64 * k).to_uint64());
}
template <class T> void take_down(Channel&, const T&) {}

/// An array of type T twice.
template <class T> class PingPong {
    struct Blocks : Channel {
        struct Block { T words; };
        std::unique_ptr<Block[]> block;
        size_t to_fill = 0, to_use = 0, filled = 0;  // count: blocks that are being filled, filled or being used

        explicit Blocks(const std::string& name) : Channel(name), block(new Block[2]) { depth = 2; }
        const char* unit() const override { return "frames"; }
    };
    Blocks* blocks;

public:
    explicit PingPong(const char* name) : blocks(region()->channel<Blocks>(name)) { blocks->variable = name; }

    T& fill() {
        Blocks& b = *blocks;
        while (b.count == b.depth) region()->wait(b, true);
        ++b.count;
        region()->current->at_end.push_back([&b] {
            b.to_fill ^= 1;
            ++b.filled;
            if (b.waiting_to_read) region()->wake(b.waiting_to_read);
        });
        return b.block[b.to_fill].words;
    }

    const T& use() {
        Blocks& b = *blocks;
        while (!b.filled) region()->wait(b, false);
        region()->current->at_end.push_back([&b] {
            b.to_use ^= 1;
            --b.filled;
            --b.count;
            if (b.waiting_to_write) region()->wake(b.waiting_to_write);
        });
        return b.block[b.to_use].words;
    }
};

}  // namespace concurrent
}  // namespace flow

namespace hls {

/// A handle: copies are the same stream, which lives as long as the region.
template <class T> class stream {
    using Fifo = flow::concurrent::Fifo<T>;
    Fifo* fifo;

public:
    explicit stream(const char* name = "stream") : fifo(flow::concurrent::region()->channel<Fifo>(name)) {
        flow::concurrent::Region& region = *flow::concurrent::region();
        if (region.open && !region.unbounded && fifo->depth == flow::concurrent::Unbounded) fifo->depth = 2;
    }

    FLOW_SELDOM void declare(const char* variable, int id, size_t depth, unsigned words) {
        flow::concurrent::Region& region = *flow::concurrent::region();
        const auto other = region.depths.find(fifo->name);
        fifo->depth = region.unbounded ? flow::concurrent::Unbounded : other != region.depths.end() ? other->second : depth;
        fifo->variable = variable;
        fifo->recorded = region.records && id >= 0;
        fifo->id = id;
        fifo->words = words;
    }

    bool empty() const { return fifo->count == 0; }
    bool full() const { return fifo->count >= fifo->depth; }
    size_t size() const { return fifo->count; }

    __attribute__((always_inline)) T read() {
        Fifo& f = *fifo;
        while (__builtin_expect(f.count == 0, 0))
            if (!flow::concurrent::region()->wait(f, false)) return f.missing();
        const T beat = f.ring[f.first];
        f.first = (f.first + 1) & f.mask;
        --f.count;
        if (__builtin_expect(f.waiting_to_write != nullptr, 0)) flow::concurrent::region()->wake(f.waiting_to_write);
        return beat;
    }

    __attribute__((always_inline)) void write(const T& beat) {
        Fifo& f = *fifo;
        while (__builtin_expect(f.count >= f.depth, 0)) flow::concurrent::region()->wait(f, true);
        if (__builtin_expect(f.count > f.mask, 0)) f.grow();
        f.ring[(f.first + f.count) & f.mask] = beat;
        ++f.count;
        if (__builtin_expect(f.recorded, 0)) flow::concurrent::take_down(f, beat);
        if (__builtin_expect(f.waiting_to_read != nullptr, 0)) flow::concurrent::region()->wake(f.waiting_to_read);
    }

    void read(T& beat) { beat = read(); }
    void operator>>(T& beat) { beat = read(); }
    void operator<<(const T& beat) { write(beat); }
};

}  // namespace hls

namespace flow {
namespace concurrent {

template <int Width> void declare(hls::stream<ap_uint<Width>>& stream, const char* variable, int id, size_t depth) {
    stream.declare(variable, id, depth, (Width + 63) / 64);
}

/// Returns whether all processes came to their end and no beat is left.
template <class Top> bool run(Top top) {
    Region& all = *region();
    all.open = true;
    top();
    all.open = false;
    all.run();
    for (const auto& known : all.channels)
        if (known.second->count || known.second->waiting_to_read || known.second->waiting_to_write) return false;
    return true;
}

}  // namespace concurrent
}  // namespace flow

#define FLOW_PROCESS(...) flow::concurrent::start(#__VA_ARGS__, [=]() mutable { __VA_ARGS__; })
#define FLOW_STREAM(stream, id, depth) flow::concurrent::declare(stream, #stream, id, depth);
#define FLOW_PING_PONG(name, extents, ...) flow::concurrent::PingPong<__VA_ARGS__ extents> name(#name)
#define FLOW_FILL(name) name.fill()
#define FLOW_USE(name) name.use()
