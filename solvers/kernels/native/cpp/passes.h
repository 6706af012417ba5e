// What the solver of group norms has to know of a method and of the dtype of the parameter: forming B and D, and writing
// the solution. All else depends on the dtype of the sums alone and is compiled once for it.
#pragma once

#include "tile.h"

// z = b / (d + t/r), times the units, of every lane. In this form nothing leaves the range of R that z does not leave:
// r*d and r/(r*d + t) may, where d spreads over thirty decades.
template <class R> struct Solution {
    const R* shift;           // t/r; infinite where z = 0
    const R *unit_1, *unit_2; // null: one
    const uint8_t* live;      // of every vector: whether z may be nonzero in some lane
    const Mask<R>* good;      // of every vector: lanes of groups that do not keep the point; null: all
};

template <class R> struct Passes {
    // Fill b[vector * pitch + row] and d with B and D of some rows; with `first` the gradient enters the state.
    void (*form)(const Task&, const Tile&, int64_t from, int64_t rows, int64_t pitch, bool first, Vec<R>* b, Vec<R>* d);
    void (*write)(const Task&, const Tile&, int64_t from, int64_t rows, int64_t pitch, const Vec<R>* b, const Vec<R>* d,
                  const Solution<R>&);
    // B and D of one group in double, and writing its solution.
    void (*take)(const Task&, int64_t group, double* b, double* d);
    void (*put)(const Task&, int64_t group, const double* z);
};

template <class P, class R, template <class> class Recurrence> struct PassesOf {
    using V = Vec<R>;
    using W = Walk<P, R, Recurrence<R>>;
    static constexpr int lanes = Simd<R>::lanes;
    static constexpr int rows_ahead = 8; // that are prefetched: the hardware does not follow strides over pages

    static void form(const Task& task, const Tile& tile, int64_t from, int64_t rows, int64_t pitch, bool first, V* b,
                     V* d) {
        const W walk(task);
        const int64_t ahead = tile.pieces || tile.packs > 1 ? 0 : rows_ahead * task.groups * task.inner;
        each_vector<lanes>(task, tile, from, rows, [&](int64_t row, int v, int64_t at, int count) INLINE_LAMBDA {
            if (ahead) walk.expect(at + ahead, first);
            walk.form(at, count, first, b[v * pitch + row], d[v * pitch + row]);
        });
    }

    static void write(const Task& task, const Tile& tile, int64_t from, int64_t rows, int64_t pitch, const V* b,
                      const V* d, const Solution<R>& found) {
        const W walk(task);
        const int64_t ahead = tile.pieces || tile.packs > 1 ? 0 : rows_ahead * task.groups * task.inner;
        each_vector<lanes>(task, tile, from, rows, [&](int64_t row, int v, int64_t at, int count) INLINE_LAMBDA {
            if (ahead) __builtin_prefetch(walk.point + at + ahead);
            V z = {};
            if (found.live[v]) {
                const int64_t slot = v * pitch + row;
                const V shift = load<R>(found.shift + v * lanes);
                z = b[slot] / (d[slot] + shift);
                if (found.unit_1) z = z * load<R>(found.unit_1 + v * lanes) * load<R>(found.unit_2 + v * lanes);
                z = shift <= Simd<R>::largest ? z : V{};
            }
            if (found.good) walk.write(at, count, z, found.good[v], false);
            else walk.write(at, count, z, Mask<R>{}, true);
        });
    }

    static void take(const Task& task, int64_t group, double* b, double* d) {
        const W walk(task);
        const Recurrence<double> recurrence(task.k);
        each_entry(task, group, [&](int64_t at) {
            Doubles x[3] = {}, wide_b, wide_d;
            for (int i = 0; i < Recurrence<R>::states; ++i) x[i] = all<double>(walk.state[i][at]);
            recurrence.form(all<double>(widen(walk.point[at])), x, wide_b, wide_d);
            *b++ = wide_b[0], *d++ = wide_d[0];
        });
    }

    static void put(const Task& task, int64_t group, const double* z) {
        const W walk(task);
        each_entry(task, group, [&](int64_t at) { walk.write(at, 1, all<R>(R(*z++)), Mask<R>{}, true); });
    }

    static constexpr Passes<R> all_of_them = {form, write, take, put};
};
