// Group norms: B and D of a tile of groups stay in a scratch that fits the cache while the roots are found.
#pragma once

#include <algorithm>
#include <vector>

#include "careful.h"
#include "entries.h"
#include "group_sums.h"
#include "lanes.h"
#include "norm_equation.h"
#include "passes.h"

template <class R> class GroupSolver {
    using V = Vec<R>;
    static constexpr int lanes = Simd<R>::lanes;

    Settings settings{};
    int64_t capacity = 0; // entries of the scratch
    std::vector<V> scratch_b, scratch_d;
    std::vector<double> sums[5];                                   // of every lane
    std::vector<R> lane_r, lane_t, unit_b, unit_d, unit_1, unit_2; // of every lane
    std::vector<Mask<R>> good, lossy;                              // of every vector
    std::vector<uint8_t> live, scaled;                             // of every vector
    std::vector<uint8_t> alone;                                    // of every group
    std::vector<double> shift, factor_1, factor_2;                 // of every group
    std::vector<double> wide_b, wide_d;                            // of the entries of one group
    Roots<R> roots{settings};
    Lanes<R> map;

    // What is being solved.
    const Task* task = nullptr;
    const Passes<R>* passes = nullptr;
    Tile tile{};
    int64_t chunk = 0; // rows that fit into the scratch
    bool any_scaled = false;

  public:
    // Before the tiles of a call, and after them; memory for so many entries is kept for the next one.
    void begin(const Settings& of_the_call, int64_t scratch_entries) {
        settings = of_the_call, capacity = scratch_entries;
    }
    void end(int64_t kept_entries) {
        if (int64_t(scratch_b.size()) * lanes > kept_entries) scratch_b = {}, scratch_d = {};
    }

    Counts solve(const Task& its_task, const Passes<R>& its_passes, const Tile& its_tile) {
        task = &its_task, passes = &its_passes, tile = its_tile;
        prepare();
        in_chunks(true, [&](int64_t, int64_t rows) { moments(rows, false); });
        const double price = task->lam * task->weight;
        if (roots.screen(tile.groups, task->outer * task->inner, price, by_group<true>(3), by_group<true>(4))) rescale();
        const double *square = by_group(0), *weighted = by_group(1), *twice = by_group(2);
        roots.start(square, weighted, twice);
        // The sums of blocks enter doubles, whose rounding adds up.
        const double noise = double(tile.rows / block + lanes) * Simd<double>::eps;
        for (int64_t iteration = 1; iteration <= settings.max_iterations && !roots.all_done(); ++iteration) {
            map.spread(roots.all_r(), lane_r.data(), 0), map.spread(roots.all_t(), lane_t.data(), INFINITY);
            map.mark(roots.all_open(), live.data());
            for (int i = 0; i < 3; ++i) std::fill(sums[i].begin(), sums[i].end(), 0.0);
            in_chunks(false, [&](int64_t, int64_t rows) { equation(rows); });
            const double *phi = by_group(0), *psi = by_group(1), *chi = by_group(2);
            roots.move(phi, psi, chi, noise, iteration == settings.max_iterations);
        }
        roots.close();
        return finish(price);
    }

  private:
    void prepare() {
        // Where not all rows fit, whole blocks of sums: their order is then the same however many do.
        chunk = capacity / lanes / tile.vectors;
        if (chunk < tile.rows) chunk = std::min(tile.rows, std::max(chunk / block * block, block));
        else chunk = tile.rows;
        map.reset(tile, chunk == tile.rows);
        if (scratch_b.size() < size_t(chunk * tile.vectors)) {
            scratch_b.resize(chunk * tile.vectors), scratch_d.resize(chunk * tile.vectors);
        }
        for (auto& sum : sums) sum.assign(map.all_sums(), 0.0);
        lane_r.resize(map.size()), lane_t.resize(map.size()), shift.resize(tile.groups);
        live.resize(tile.vectors);
        any_scaled = false;
    }

    // Do `work(first row, rows)` with B and D, in their units, of every chunk of rows in the scratch. Where all rows fit
    // they are formed once.
    template <class Work> void in_chunks(bool first, Work work) {
        for (int64_t from = 0; from < tile.rows; from += chunk) {
            const int64_t rows = std::min(chunk, tile.rows - from);
            if (first || chunk < tile.rows) {
                passes->form(*task, tile, from, rows, chunk, first, scratch_b.data(), scratch_d.data());
                shrink(rows);
                scale(rows);
            }
            work(from, rows);
        }
    }

    // What the weight of the entries leaves of B; the group norms are then all of psi.
    void shrink(int64_t rows) {
        if (!(entry_price() > 0)) return;
        const R t = R(entry_price());
        for (int v = 0; v < tile.vectors; ++v) {
            V* b = scratch_b.data() + v * chunk;
            for (int64_t row = 0; row < rows; ++row) b[row] = shrunk<R>(b[row], t);
        }
    }

    double entry_price() const { return task->lam * task->entry_weight; }

    // A d so far below the largest that its unit takes it out of R's range is lossy: it may still decide the solution.
    void scale(int64_t rows) {
        if (!any_scaled) return;
        for (int v = 0; v < tile.vectors; ++v) {
            if (!scaled[v]) continue;
            const V of_b = load<R>(unit_b.data() + v * lanes), of_d = load<R>(unit_d.data() + v * lanes), back = 1 / of_d;
            V *b = scratch_b.data() + v * chunk, *d = scratch_d.data() + v * chunk;
            Mask<R> exact = Mask<R>{} - 1;
            for (int64_t row = 0; row < rows; ++row) {
                const V before = d[row];
                b[row] *= of_b, d[row] *= of_d;
                exact &= d[row] * back == before;
            }
            lossy[v] |= ~exact;
        }
    }

    // Some groups have units: their sums once more.
    void rescale() {
        any_scaled = true;
        unit_b.resize(map.size()), unit_d.resize(map.size());
        scaled.assign(tile.vectors, 0), lossy.assign(tile.vectors, Mask<R>{});
        map.spread(roots.all_b_units(), unit_b.data(), 1), map.spread(roots.all_d_units(), unit_d.data(), 1);
        for (size_t lane = 0; lane < map.size(); ++lane) scaled[lane / lanes] |= unit_b[lane] != 1 || unit_d[lane] != 1;
        for (int v = 0; v < tile.vectors; ++v)
            if (scaled[v])
                for (int i = 0; i < 3; ++i) std::fill_n(sums[i].begin() + map.sums_of(v), map.together() ? 1 : lanes, 0.0);
        if (chunk == tile.rows) scale(chunk);
        in_chunks(false, [&](int64_t, int64_t rows) { moments(rows, true); });
        map.each([&](size_t lane, int g) {
            if (lossy[lane / lanes][lane % lanes]) roots.give_up(g);
        });
    }

    void moments(int64_t rows, bool only_scaled) {
        const FlushToZero small;
        for (int v = 0; v < tile.vectors; ++v)
            if (!only_scaled || scaled[v])
                (map.together() ? add_moments<R, true> : add_moments<R, false>)(
                    scratch_b.data() + v * chunk, scratch_d.data() + v * chunk, rows, sums_of(v));
    }

    void equation(int64_t rows) {
        const FlushToZero small;
        for (int v = 0; v < tile.vectors; ++v)
            if (live[v])
                (map.together() ? add_equation<R, true> : add_equation<R, false>)(
                    scratch_b.data() + v * chunk, scratch_d.data() + v * chunk, rows,
                    load<R>(lane_r.data() + v * lanes), load<R>(lane_t.data() + v * lanes), sums_of(v));
    }

    VectorSums sums_of(int v) {
        VectorSums of_vector;
        for (int i = 0; i < 5; ++i) of_vector.of[i] = sums[i].data() + map.sums_of(v);
        return of_vector;
    }

    template <bool maximum = false> const double* by_group(int which) {
        return map.template by_group<maximum>(which, sums[which].data());
    }

    // z = z' * (unit of b) / (unit of d), a power of two in two factors, so that nothing overflows or vanishes in between
    // that need not.
    void find_units_of_z() {
        factor_1.resize(tile.groups), factor_2.resize(tile.groups), unit_1.resize(map.size()), unit_2.resize(map.size());
        for (int g = 0; g < tile.groups; ++g) {
            const int k = std::ilogb(roots.all_d_units()[g]) - std::ilogb(roots.all_b_units()[g]), half = k / 2;
            factor_1[g] = std::ldexp(1.0, half), factor_2[g] = std::ldexp(1.0, k - half);
        }
        map.spread(factor_1.data(), unit_1.data(), 1), map.spread(factor_2.data(), unit_2.data(), 1);
    }

    // Write the solutions. Groups whose root was not found, or whose norm the parameter cannot hold, keep the point at first and are
    // then tried alone.
    Counts finish(double price) {
        Counts counts = {};
        alone.assign(tile.groups, 0);
        bool any_alone = false;
        for (int g = 0; g < tile.groups; ++g) {
            const double norm = roots.all_r()[g] * (roots.all_d_units()[g] / roots.all_b_units()[g]);
            // An entry may be larger than the norm by its rounding.
            alone[g] = roots.has_failed(g) || !(norm <= 0.999 * passes->largest);
            any_alone |= alone[g] != 0;
            counts.zero += !alone[g] && R(norm) == 0;
        }
        for (int g = 0; g < tile.groups; ++g) shift[g] = roots.all_t()[g] / roots.all_r()[g];
        map.spread(shift.data(), lane_t.data(), INFINITY);
        map.mark(roots.all_nonzero(), live.data());
        if (any_scaled) find_units_of_z();
        if (any_alone) {
            good.assign(tile.vectors, Mask<R>{} - 1);
            map.each([&](size_t lane, int g) { good[lane / lanes][lane % lanes] = alone[g] ? 0 : -1; });
        }
        const Solution<R> found{lane_t.data(), any_scaled ? unit_1.data() : nullptr, unit_2.data(),
                                live.data(), any_alone ? good.data() : nullptr};
        in_chunks(false, [&](int64_t from, int64_t rows) {
            passes->write(*task, tile, from, rows, chunk, scratch_b.data(), scratch_d.data(), found);
        });
        if (any_alone)
            for (int g = 0; g < tile.groups; ++g)
                if (alone[g]) count(solve_alone(g, price), counts);
        return counts;
    }

    enum Outcome { kept, zero, nonzero };
    static void count(Outcome outcome, Counts& counts) {
        counts.kept += outcome == kept;
        counts.zero += outcome == zero;
    }

    Outcome solve_alone(int g, double price) {
        if (roots.is_hopeless(g)) return kept;
        wide_b.resize(task->outer * task->inner), wide_d.resize(wide_b.size());
        passes->take(*task, tile.first + g, wide_b.data(), wide_d.data());
        const double t = entry_price();
        if (t > 0)
            for (double& b : wide_b) b = std::fabs(b) <= t ? 0 : b - std::copysign(t, b);
        if (!solve_carefully(settings, price, passes->largest, wide_b, wide_d)) return kept;
        passes->put(*task, tile.first + g, wide_b.data());
        return std::all_of(wide_b.begin(), wide_b.end(), [](double z) { return R(z) == 0; }) ? zero : nonzero;
    }
};
