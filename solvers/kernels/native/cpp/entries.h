// Groups of one entry, and psi = 0: Ŵ = sign(B) * max(|B| - t, 0) / D.
#pragma once

#include "tensors.h"

template <class P, class R, class Recurrence>
int64_t solve_entries(const Walk<P, R, Recurrence>& walk, int64_t begin, int64_t end) {
    using V = Vec<R>;
    using M = Mask<R>;
    constexpr int lanes = Simd<R>::lanes;
    const R t = walk.task.lam * walk.task.weight;
    M kept = {};
    for (int64_t at = begin; at < end; at += lanes) {
        const int count = end - at < lanes ? int(end - at) : lanes;
        V b, d;
        walk.form(at, count, true, b, d);
        V shrunk = magnitude<R>(b) - t;
        V z = (b < 0 ? -shrunk : shrunk) / d;
        // A NaN in b or d must not pass for a zero.
        z = shrunk <= 0 ? V{} : z;
        M good = (magnitude<R>(z) <= Simd<R>::largest) & (d <= Simd<R>::largest) & (magnitude<R>(b) <= Simd<R>::largest);
        M within = {};
        for (int lane = 0; lane < lanes; ++lane) within[lane] = lane < count ? -1 : 0;
        kept += ~good & within;
        walk.write(at, count, z, good, false);
    }
    int64_t total = 0;
    for (int lane = 0; lane < lanes; ++lane) total -= kept[lane];
    return total;
}
