// Forced in front of every translation unit, and precompiled: takes over what the model prints.
#pragma once
int rtl_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF rtl_printf
#include "verilated.h"
