// Which of many tensors have only finite entries, at the speed of memory.
#pragma once

#include <cstdint>
#include <cstring>

#include "simd.h"

extern "C" struct Numbers {
    const void* first;
    int64_t count;
    int64_t finite; // out: 1 or 0
};

// Whether all are finite: the exponent of infinity and NaN has all bits set. As integers of the dtype's size.
template <class Integer> bool all_finite(const Integer* x, int64_t count, Integer exponent) {
    typedef Integer V __attribute__((vector_size(vector_bytes)));
    constexpr int64_t lanes = vector_bytes / sizeof(Integer), step = 4 * lanes;
    V found = {};
    int64_t at = 0;
    for (; at + step <= count; at += step) {
        V four[4];
        memcpy(four, x + at, sizeof four);
        for (V& one : four) found |= (V)((one & exponent) == exponent);
    }
    bool bad = false;
    for (; at < count; ++at) bad |= (x[at] & exponent) == exponent;
    for (int lane = 0; lane < lanes; ++lane) bad |= found[lane] != 0;
    return !bad;
}

// dtype: 0 float32, 1 float64, 2 bfloat16, 3 float16.
inline bool all_finite(const void* x, int64_t from, int64_t count, int dtype) {
    switch (dtype) {
    case 0: return all_finite<int32_t>((const int32_t*)x + from, count, 0x7f800000);
    case 1: return all_finite<int64_t>((const int64_t*)x + from, count, 0x7ff0000000000000);
    case 2: return all_finite<int16_t>((const int16_t*)x + from, count, 0x7f80);
    default: return all_finite<int16_t>((const int16_t*)x + from, count, 0x7c00);
    }
}
