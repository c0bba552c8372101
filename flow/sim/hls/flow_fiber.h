/// Code that leaves its stack where it is and goes on later: a place is where such code goes on.
///
///   exchange(here, there)     leaves the code that runs, with `here` as its place, and goes on at the place `there`
///   place(stack, end, code)   a place that begins `code`, which does not return, on the stack from `stack` to `end`
///
/// Of x86-64 by a few instructions; of other processors, and with FLOW_UCONTEXT, by the C library, whose system calls make C
/// simulation 3.5 times as slow.
#pragma once

#if defined(__x86_64__) && !defined(FLOW_UCONTEXT)
namespace flow {
namespace concurrent {

template <class = void> struct Fiber {
    /// A place is the top of a stack: what a callee must preserve, and then the address of the code. That is reached by a jump,
    /// since a return is predicted to go where the last call came from.
    __attribute__((naked, noinline)) static void exchange(void*& /*here*/, void* /*there*/) {
        asm("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15;"
            "mov %rsp, (%rdi); mov %rsi, %rsp;"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp;"
            "pop %rcx; jmp *%rcx");
    }

    static void* place(void* /*stack*/, char* end, void (*code)()) {
        void** top = reinterpret_cast<void**>(end) - 8;
        top[6] = reinterpret_cast<void*>(code);
        return top;
    }
};

}  // namespace concurrent
}  // namespace flow
#else
#include <ucontext.h>

namespace flow {
namespace concurrent {

template <class = void> struct Fiber {
    static void exchange(void*& here, void* there) {
        ucontext_t own;
        here = &own;
        swapcontext(&own, static_cast<ucontext_t*>(there));
    }

    static void* place(void* stack, char* end, void (*code)()) {
        ucontext_t* const start = static_cast<ucontext_t*>(stack);
        getcontext(start);
        start->uc_stack.ss_sp = start + 1;
        start->uc_stack.ss_size = end - reinterpret_cast<char*>(start + 1);
        start->uc_link = nullptr;
        makecontext(start, code, 0);
        return start;
    }
};

}  // namespace concurrent
}  // namespace flow
#endif
