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
    // Fill b[vector * pitch + row] and d with B and D of some rows; with `first` the gradient enters the state. Of a turned
    // tile all rows are wanted at once.
    void (*form)(const Task&, const Tile&, int64_t from, int64_t rows, int64_t pitch, bool first, Vec<R>* b, Vec<R>* d);
    // Write the solution; b may be overwritten.
    void (*write)(const Task&, const Tile&, int64_t from, int64_t rows, int64_t pitch, Vec<R>* b, const Vec<R>* d,
                  const Solution<R>&);
    // B and D of one group in double, and writing its solution.
    void (*take)(const Task&, int64_t group, double* b, double* d);
    void (*put)(const Task&, int64_t group, const double* z);
    R largest; // that the parameter holds
};

template <class P, class R, template <class> class Recurrence> struct PassesOf {
    using V = Vec<R>;
    using W = Walk<P, R, Recurrence<R>>;
    static constexpr int lanes = Simd<R>::lanes;
    static constexpr int rows_ahead = 8; // that are prefetched: the hardware does not follow strides over pages

    static void form(const Task& task, const Tile& tile, int64_t from, int64_t rows, int64_t pitch, bool first, V* b,
                     V* d) {
        if (tile.turned) return form_turned(task, tile, first, (R*)b, (R*)d);
        const W walk(task);
        const int64_t ahead = tile.pieces || tile.packs > 1 ? 0 : rows_ahead * task.groups * task.inner;
        each_vector<lanes>(task, tile, from, rows, [&](int64_t row, int v, int64_t at, int count) INLINE_LAMBDA {
            if (ahead) walk.expect(at + ahead, first);
            walk.form(at, count, first, b[v * pitch + row], d[v * pitch + row]);
        });
    }

    static void form_turned(const Task& task, const Tile& tile, bool first, R* b, R* d) {
        const W walk(task);
        // Lanes of no group.
        for (int64_t lane = tile.groups; lane < int64_t(tile.vectors) * lanes; ++lane)
            for (int64_t row = 0; row < tile.rows; ++row) {
                const int64_t entry = (lane / lanes * tile.rows + row) * lanes + lane % lanes;
                b[entry] = 0, d[entry] = 1;
            }
        each_turned_vector<lanes>(task, tile, [&](int64_t at, int count, TurnedPlace<lanes>& place) INLINE_LAMBDA {
            V some_b, some_d;
            walk.form(at, count, first, some_b, some_d);
            for (int lane = 0; lane < count; ++lane, place.advance()) {
                const int64_t entry = place.entry();
                b[entry] = some_b[lane], d[entry] = some_d[lane];
            }
        });
    }

    // z of one vector of the scratch.
    INLINE_MEMBER static V solution(V b, V d, int v, const Solution<R>& found) {
        if (!found.live[v]) return V{};
        const V shift = load<R>(found.shift + v * lanes);
        V z = b / (d + shift);
        if (found.unit_1) z = z * load<R>(found.unit_1 + v * lanes) * load<R>(found.unit_2 + v * lanes);
        return shift <= Simd<R>::largest ? z : V{};
    }

    static void write_turned(const Task& task, const Tile& tile, V* b, const V* d, const Solution<R>& found) {
        const W walk(task);
        for (int v = 0; v < tile.vectors; ++v)
            for (int64_t slot = v * tile.rows; slot < (v + 1) * tile.rows; ++slot) b[slot] = solution(b[slot], d[slot], v, found);
        const R* solutions = (const R*)b;
        each_turned_vector<lanes>(task, tile, [&](int64_t at, int count, TurnedPlace<lanes>& place) INLINE_LAMBDA {
            V z = {};
            Mask<R> good = {};
            for (int lane = 0; lane < count; ++lane, place.advance()) {
                z[lane] = solutions[place.entry()];
                if (found.good) good[lane] = found.good[place.vector()][place.lane_of_vector()];
            }
            walk.write(at, count, z, good, !found.good);
        });
    }

    static void write(const Task& task, const Tile& tile, int64_t from, int64_t rows, int64_t pitch, V* b, const V* d,
                      const Solution<R>& found) {
        if (tile.turned) return write_turned(task, tile, b, d, found);
        const W walk(task);
        const int64_t ahead = tile.pieces || tile.packs > 1 ? 0 : rows_ahead * task.groups * task.inner;
        each_vector<lanes>(task, tile, from, rows, [&](int64_t row, int v, int64_t at, int count) INLINE_LAMBDA {
            if (ahead) __builtin_prefetch(walk.point + at + ahead);
            const V z = solution(b[v * pitch + row], d[v * pitch + row], v, found);
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

    static constexpr Passes<R> all_of_them = {form, write, take, put, largest_of<P>};
};
