// Group norms: B and D of a tile of groups stay in a scratch that fits the cache while the roots are found.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "norm_equation.h"
#include "slow_groups.h"
#include "tile.h"
#include "tensors.h"

template <class P, class R, template <class> class Recurrence> class GroupSolver {
    using V = Vec<R>;
    static constexpr int lanes = Simd<R>::lanes;
    static constexpr int block = 64;     // rows that are summed in R before they enter a double
    static constexpr int rows_ahead = 8; // that are prefetched: the hardware does not follow strides over pages
    static constexpr double least = sizeof(R) == 4 ? 1e-12 : 1e-90, most = sizeof(R) == 4 ? 1e12 : 1e90;
    static constexpr double close = sizeof(R) == 4 ? 2e-3 : 2e-6, exact = sizeof(R) == 4 ? 5e-7 : 1e-15;

    const Task& task;
    const Walk<P, R, Recurrence<R>> walk;
    const int64_t capacity; // entries of the scratch
    V *const scratch_b, *const scratch_d;
    std::vector<double> sums[5], group_sums[5]; // of every lane, of every group
    std::vector<R> lane_r, lane_t;
    Roots roots;
    Tile tile{};
    int vectors = 0;
    int64_t chunk = 0; // rows that fit into the scratch

  public:
    GroupSolver(const Task& task, V* scratch, int64_t scratch_entries)
        : task(task), walk(task), capacity(scratch_entries), scratch_b(scratch),
          scratch_d(scratch + scratch_entries / lanes) {}

    // Solve the groups of a tile; returns how many got Ŵ = point.
    int64_t solve(const Tile& which) {
        tile = which;
        vectors = (tile.width + lanes - 1) / lanes;
        chunk = std::min<int64_t>(tile.rows, capacity / (int64_t(vectors) * lanes));
        // Whole vectors of doubles, of which there are at least as many as groups.
        for (auto& sum : sums) sum.assign(vectors * lanes, 0.0);
        for (auto& sum : group_sums) sum.resize(vectors * lanes);
        lane_r.resize(vectors * lanes), lane_t.resize(vectors * lanes);
        roots.reset(tile.groups);

        in_chunks(true, [&](int64_t, int64_t rows) { moments(rows); });
        const double *square = by_group(0), *weighted = by_group(1), *twice = by_group(2), *steepest = by_group<true>(3);
        roots.start(task.lam * task.weight, square, weighted, twice, steepest, by_group<true>(4), least, most);
        for (int iteration = 0; iteration < max_iterations && !roots.all_done(); ++iteration) {
            spread();
            for (int i = 0; i < 3; ++i) std::fill(sums[i].begin(), sums[i].end(), 0.0);
            in_chunks(false, [&](int64_t, int64_t rows) { equation(rows); });
            const double *phi = by_group(0), *psi = by_group(1);
            roots.move(phi, psi, by_group(2), close, exact);
        }
        roots.close();
        if (roots.any_lost()) return SlowGroups<P, R, Recurrence>(task, walk, tile, roots).solve();
        spread();
        in_chunks(false, [&](int64_t from, int64_t rows) { write(from, rows); });
        return 0;
    }

  private:
    // Do `work(first row, rows)` with B and D of those rows in the scratch. Where all rows fit they are formed once.
    template <class Work> INLINE_MEMBER void in_chunks(bool first, Work work) {
        for (int64_t from = 0; from < tile.rows; from += chunk) {
            const int64_t rows = std::min(chunk, tile.rows - from);
            if (first || chunk < tile.rows) form(from, rows, first);
            work(from, rows);
        }
    }

    // Calls work(place in the scratch, vector of the row, place in memory, entries, how far ahead to prefetch) for every
    // vector of some rows. Copies of the members, which no store can change, stay in registers.
    template <class Work> INLINE_MEMBER void each_vector(int64_t from, int64_t rows, Work work) const {
        const auto tile = this->tile;
        const int64_t chunk = this->chunk;
        const int vectors = this->vectors;
        const int64_t ahead = tile.pieces || tile.packs > 1 ? 0 : rows_ahead * task.groups * task.inner;
        Rows place(task, tile, from);
        for (int64_t row = 0; row < rows; ++row, place.next()) {
            const int64_t at = place.at;
            const int count = place.count;
            for (int v = 0; v < vectors; ++v)
                // The last packed row may end before its last vector.
                work(v * chunk + row, v, at + v * lanes, std::clamp(count - v * lanes, 0, lanes), ahead);
        }
    }

    INLINE_MEMBER void form(int64_t from, int64_t rows, bool first) {
        const auto walk = this->walk;
        V *const all_b = scratch_b, *const all_d = scratch_d;
        each_vector(from, rows, [&, all_b, all_d](int64_t slot, int, int64_t at, int count, int64_t ahead) INLINE_LAMBDA {
            V b, d;
            if (ahead) walk.expect(at + ahead, first);
            walk.form(at, count, first, b, d);
            all_b[slot] = b;
            all_d[slot] = d;
        });
    }

    // sum b^2, sum b^2*d, sum b^2*d^2, max d and max |b| of every lane.
    INLINE_MEMBER void moments(int64_t rows) {
        for (int v = 0; v < vectors; ++v) {
            const V *b = scratch_b + v * chunk, *d = scratch_d + v * chunk;
            V steepest = {}, longest = {};
            for (int64_t from = 0; from < rows; from += block) {
                V square = {}, weighted = {}, twice = {};
                for (int64_t row = from; row < std::min(rows, from + block); ++row) {
                    const V b2 = b[row] * b[row], b2d = b2 * d[row];
                    square += b2;
                    weighted += b2d;
                    twice += b2d * d[row];
                    // In this order a NaN stays.
                    steepest = steepest > d[row] ? steepest : d[row];
                    longest = longest > magnitude<R>(b[row]) ? longest : magnitude<R>(b[row]);
                }
                add(0, v, square), add(1, v, weighted), add(2, v, twice);
            }
            for (int lane = 0; lane < lanes; ++lane) {
                double &d_max = sums[3][v * lanes + lane], &b_max = sums[4][v * lanes + lane];
                d_max = d_max > steepest[lane] ? d_max : steepest[lane];
                b_max = b_max > longest[lane] ? b_max : longest[lane];
            }
        }
    }

    // phi, psi and chi of every lane at its r, where a group of the vector still needs them.
    INLINE_MEMBER void equation(int64_t rows) {
        for (int v = 0; v < vectors; ++v) {
            if (side_by_side() && roots.all_done(v * lanes, std::min((v + 1) * lanes, tile.groups))) continue;
            const V *b = scratch_b + v * chunk, *d = scratch_d + v * chunk;
            const V r = load<R>(lane_r.data() + v * lanes), t = load<R>(lane_t.data() + v * lanes);
            for (int64_t from = 0; from < rows; from += block) {
                V phi = {}, psi = {}, chi = {};
                for (int64_t row = from; row < std::min(rows, from + block); ++row) {
                    const V rd = r * d[row], u = 1 / (rd + t), root = b[row] * u, term = root * root, ratio = rd * u;
                    const V bent = term * ratio;
                    phi += term;
                    psi += bent;
                    chi += bent * ratio;
                }
                add(0, v, phi), add(1, v, psi), add(2, v, chi);
            }
        }
    }

    // Whether lane and group are the same.
    bool side_by_side() const { return tile.lanes_a_group == 1 && tile.packs == 1; }

    INLINE_MEMBER void add(int which, int v, V value) {
        double* to = sums[which].data() + v * lanes;
        for (int lane = 0; lane < lanes; ++lane) to[lane] += value[lane];
    }

    // The sums (or maxima) over the lanes of each group.
    template <bool maximum = false> const double* by_group(int which) {
        const int each = tile.lanes_a_group, period = tile.groups * each;
        if (side_by_side()) return sums[which].data();
        double* totals = group_sums[which].data();
        std::fill(totals, totals + tile.groups, 0.0);
        for (const double *lane = sums[which].data(), *end = lane + tile.packs * period; lane < end;)
            for (int g = 0; g < tile.groups; ++g)
                for (int i = 0; i < each; ++i, ++lane)
                    if constexpr (maximum) totals[g] = totals[g] > *lane ? totals[g] : *lane;
                    else totals[g] += *lane;
        return totals;
    }

    // r and t of every lane; z = 0 in those that only pad.
    void spread() {
        size_t lane = 0;
        const double *r = roots.all_r(), *t = roots.all_t();
        if (side_by_side()) {
            for (; lane < size_t(tile.groups); ++lane) lane_r[lane] = r[lane], lane_t[lane] = t[lane];
        } else {
            for (int pack = 0; pack < tile.packs; ++pack)
                for (int g = 0; g < tile.groups; ++g)
                    for (int i = 0; i < tile.lanes_a_group; ++i, ++lane) lane_r[lane] = r[g], lane_t[lane] = t[g];
        }
        for (; lane < lane_r.size(); ++lane) lane_r[lane] = 0, lane_t[lane] = 1;
    }

    INLINE_MEMBER void write(int64_t from, int64_t rows) {
        const auto walk = this->walk;
        const V *const all_b = scratch_b, *const all_d = scratch_d;
        const R *const all_r = lane_r.data(), *const all_t = lane_t.data();
        each_vector(from, rows, [&, all_b, all_d](int64_t slot, int v, int64_t at, int count, int64_t ahead) INLINE_LAMBDA {
            const V r = load<R>(all_r + v * lanes), t = load<R>(all_t + v * lanes), b = all_b[slot], d = all_d[slot];
            if (ahead) __builtin_prefetch(walk.point + at + ahead);
            walk.write(at, count, r * b / (r * d + t), Mask<R>{}, true);
        });
    }
};
