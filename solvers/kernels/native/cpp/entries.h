// psi is a sum over entries, since groups have one or no weight: Ŵ = sign(B) * max(|B| - t, 0) / D.
#pragma once

#include "tensors.h"

struct Counts {
    int64_t kept, zero;
};

template <class P, class R, class Recurrence> Counts solve_entries(const Task& task, int64_t begin, int64_t end) {
    using V = Vec<R>;
    using M = Mask<R>;
    constexpr int lanes = Simd<R>::lanes;
    const Walk<P, R, Recurrence> walk(task);
    const double price = task.lam * (task.weight + task.entry_weight);
    const R t = price;
    // Counted down: a true lane is -1.
    M kept = {}, zero = {}, order = {};
    for (int lane = 0; lane < lanes; ++lane) order[lane] = lane;
    for (int64_t at = begin; at < end; at += lanes) {
        const int count = end - at < lanes ? int(end - at) : lanes;
        V b, d;
        walk.form(at, count, true, b, d);
        V left = magnitude<R>(b) - t;
        V z = (b < 0 ? -left : left) / d;
        // A NaN in b or d must not pass for a zero.
        z = left <= 0 ? V{} : z;
        M good = (magnitude<R>(z) <= largest_of<P>) & (d <= Simd<R>::largest) & (magnitude<R>(b) <= Simd<R>::largest);
        const M within = order < count;
        kept += ~good & within;
        zero += (z == 0) & good & within;
        walk.write(at, count, z, good, false);
    }
    Counts counts = {};
    for (int lane = 0; lane < lanes; ++lane) counts.kept -= kept[lane], counts.zero -= zero[lane];
    if (price == 0) counts.zero = 0;
    return counts;
}
