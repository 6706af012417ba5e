// Group norms: B and D of a tile of groups stay in a scratch that fits the cache while the roots are found.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "norm_equation.h"
#include "walk.h"

// The entries of some groups as rows of `width` lanes that each fall to one group, `lanes_a_group` in turn.
struct Tile {
    int64_t rows;
    int width, groups, lanes_a_group;
    int64_t first;  // the first group
    int64_t pieces; // rows that a run of `inner` entries is cut into: one group's; 0: groups lie side by side
};

// The rows of a tile in turn: where each starts in memory, and how many entries it has.
struct Rows {
    const Task& task;
    const Tile& tile;
    int64_t outer, piece, at;
    int count;

    Rows(const Task& task, const Tile& tile, int64_t row)
        : task(task), tile(tile), outer(tile.pieces ? row / tile.pieces : row), piece(tile.pieces ? row % tile.pieces : 0) {
        place();
    }
    INLINE_MEMBER void place() {
        at = (outer * task.groups + tile.first) * task.inner + piece * tile.width;
        count = tile.pieces ? int(std::min<int64_t>(tile.width, task.inner - piece * tile.width)) : tile.width;
    }
    INLINE_MEMBER void next() {
        if (++piece >= tile.pieces) piece = 0, ++outer;
        place();
    }
};

// Groups with long runs are taken one by one, others side by side.
inline bool one_by_one(const Task& task) { return task.inner >= 32 || task.groups == 1; }

// How many groups a tile has: enough for full vectors and, if the scratch allows, for long rows.
inline int64_t groups_a_tile(const Task& task, int lanes, int64_t scratch_entries) {
    if (one_by_one(task)) return 1;
    int64_t even = 1; // the fewest groups that fill whole vectors
    while (even * task.inner % lanes) even *= 2;
    const int64_t wanted = std::min<int64_t>(256, scratch_entries / task.outer);
    return std::min(task.groups, std::max<int64_t>(1, wanted / (even * task.inner)) * even);
}

inline Tile make_tile(const Task& task, int64_t first, int64_t groups, int lanes) {
    if (one_by_one(task)) {
        // Whole vectors are cut from the runs. Where all is one group, the tensor is one run.
        const int64_t pieces = (task.inner + lanes - 1) / lanes;
        return {task.outer * pieces, lanes, 1, lanes, first, pieces};
    }
    groups = std::min(groups, task.groups - first);
    return {task.outer, int(groups * task.inner), int(groups), int(task.inner), first, 0};
}

template <class P, class R, template <class> class Recurrence> class GroupSolver {
    using V = Vec<R>;
    using M = Mask<R>;
    static constexpr int lanes = Simd<R>::lanes;
    static constexpr int block = 64; // rows that are summed in R before they enter a double
    static constexpr int rows_ahead = 4; // that are prefetched: the hardware does not follow strides over pages
    static constexpr double least = sizeof(R) == 4 ? 1e-12 : 1e-90, most = sizeof(R) == 4 ? 1e12 : 1e90;
    static constexpr double close = sizeof(R) == 4 ? 2e-3 : 2e-6, exact = sizeof(R) == 4 ? 5e-7 : 1e-15;

    const Task& task;
    const Walk<P, R, Recurrence<R>> walk;
    const int64_t capacity; // entries of the scratch
    V *const scratch_b, *const scratch_d;
    std::vector<double> sums[4];
    std::vector<R> lane_r, lane_t;
    std::vector<GroupRoot> roots;
    Tile tile{};
    int vectors = 0;
    int64_t chunk = 0; // rows that fit into the scratch

  public:
    GroupSolver(const Task& task, V* scratch, int64_t scratch_entries)
        : task(task), walk(task), capacity(scratch_entries), scratch_b(scratch), scratch_d(scratch + scratch_entries / lanes) {}

    // Solve the groups of a tile; returns how many got What = point.
    int64_t solve(const Tile& which) {
        tile = which;
        vectors = (tile.width + lanes - 1) / lanes;
        chunk = std::min<int64_t>(tile.rows, capacity / (int64_t(vectors) * lanes));
        for (auto& sum : sums) sum.assign(vectors * lanes, 0.0);
        lane_r.assign(vectors * lanes, 0), lane_t.assign(vectors * lanes, 1);
        roots.assign(tile.groups, GroupRoot{});

        in_chunks(true, [&](int64_t, int64_t rows) { moments(rows); });
        start();
        for (int iteration = 0; iteration < max_iterations && !all_done(); ++iteration) {
            for (int i = 0; i < 3; ++i) std::fill(sums[i].begin(), sums[i].end(), 0.0);
            in_chunks(false, [&](int64_t, int64_t rows) { equation(rows); });
            move();
        }
        bool plain = true;
        for (auto& root : roots) {
            if (!root.done) root.lose();
            plain &= !root.lost;
        }
        if (!plain) return solve_slowly();
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

    INLINE_MEMBER void form(int64_t from, int64_t rows, bool first) {
        const auto walk = this->walk; // a copy, which no store can change
        const auto tile = this->tile;
        const int64_t chunk = this->chunk;
        const int vectors = this->vectors;
        V *const scratch_b = this->scratch_b, *const scratch_d = this->scratch_d;
        const int64_t ahead = tile.pieces ? 0 : rows_ahead * task.groups * task.inner;
        Rows place(task, tile, from);
        for (int64_t row = 0; row < rows; ++row, place.next()) {
            const int64_t at = place.at;
            const int count = place.count;
            for (int v = 0; v < vectors; ++v) {
                V b, d;
                const int left = count - v * lanes;
                if (ahead) walk.expect(at + ahead + v * lanes, first);
                walk.form(at + v * lanes, left < lanes ? left : lanes, first, b, d);
                scratch_b[v * chunk + row] = b;
                scratch_d[v * chunk + row] = d;
            }
        }
    }

    // sum b^2, sum b^2*d, max d and max |b| of every lane.
    INLINE_MEMBER void moments(int64_t rows) {
        for (int v = 0; v < vectors; ++v) {
            const V *b = scratch_b + v * chunk, *d = scratch_d + v * chunk;
            V steepest = {}, longest = {};
            for (int64_t from = 0; from < rows; from += block) {
                V square = {}, weighted = {};
                for (int64_t row = from; row < std::min(rows, from + block); ++row) {
                    const V b2 = b[row] * b[row];
                    square += b2;
                    weighted += b2 * d[row];
                    // In this order a NaN stays.
                    steepest = steepest > d[row] ? steepest : d[row];
                    longest = longest > magnitude<R>(b[row]) ? longest : magnitude<R>(b[row]);
                }
                add(0, v, square), add(1, v, weighted);
            }
            for (int lane = 0; lane < lanes; ++lane) {
                double &d_max = sums[2][v * lanes + lane], &b_max = sums[3][v * lanes + lane];
                d_max = d_max > steepest[lane] ? d_max : steepest[lane];
                b_max = b_max > longest[lane] ? b_max : longest[lane];
            }
        }
    }

    INLINE_MEMBER void add(int which, int v, V value) {
        double* to = sums[which].data() + v * lanes;
        for (int lane = 0; lane < lanes; ++lane) to[lane] += value[lane];
    }

    void start() {
        const double threshold = task.lam * task.weight;
        for (int g = 0; g < tile.groups; ++g) {
            double square = 0, weighted = 0, steepest = 0, longest = 0;
            for (int lane = g * tile.lanes_a_group; lane < (g + 1) * tile.lanes_a_group; ++lane) {
                square += sums[0][lane], weighted += sums[1][lane];
                steepest = steepest > sums[2][lane] ? steepest : sums[2][lane];
                longest = longest > sums[3][lane] ? longest : sums[3][lane];
            }
            if (longest == 0 && square == 0) continue;
            const bool in_range = longest >= least && longest <= most && steepest >= least && steepest <= most;
            if (in_range && square == square && weighted == weighted) roots[g].start(threshold, square, weighted, steepest);
            else roots[g].lose();
        }
        spread();
    }

    void spread() {
        for (int g = 0; g < tile.groups; ++g)
            for (int lane = g * tile.lanes_a_group; lane < (g + 1) * tile.lanes_a_group; ++lane)
                lane_r[lane] = roots[g].r, lane_t[lane] = roots[g].t;
    }

    bool all_done() const {
        return std::all_of(roots.begin(), roots.end(), [](const GroupRoot& root) { return root.done; });
    }

    // phi, psi and chi of every lane at its r.
    INLINE_MEMBER void equation(int64_t rows) {
        for (int v = 0; v < vectors; ++v) {
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

    void move() {
        for (int g = 0; g < tile.groups; ++g) {
            if (roots[g].done) continue;
            double phi = 0, psi = 0, chi = 0;
            for (int lane = g * tile.lanes_a_group; lane < (g + 1) * tile.lanes_a_group; ++lane)
                phi += sums[0][lane], psi += sums[1][lane], chi += sums[2][lane];
            roots[g].move(phi, psi, chi, close, exact);
        }
        spread();
    }

    INLINE_MEMBER void write(int64_t from, int64_t rows) {
        const auto walk = this->walk;
        const auto tile = this->tile;
        const int64_t chunk = this->chunk;
        const int vectors = this->vectors;
        const V *const scratch_b = this->scratch_b, *const scratch_d = this->scratch_d;
        const int64_t ahead = tile.pieces ? 0 : rows_ahead * task.groups * task.inner;
        Rows place(task, tile, from);
        for (int64_t row = 0; row < rows; ++row, place.next()) {
            const int64_t at = place.at;
            const int count = place.count;
            for (int v = 0; v < vectors; ++v) {
                const V r = load<R>(lane_r.data() + v * lanes), t = load<R>(lane_t.data() + v * lanes);
                const V b = scratch_b[v * chunk + row], d = scratch_d[v * chunk + row];
                const int left = count - v * lanes;
                if (ahead) __builtin_prefetch(walk.point + at + ahead + v * lanes);
                walk.write(at + v * lanes, left < lanes ? left : lanes, r * b / (r * d + t), M{}, true);
            }
        }
    }

    // The same entry by entry in double, B and D scaled to max|b| = max d = 1, for groups out of the range of R. Rare.
    int64_t solve_slowly() {
        const Recurrence<double> recurrence(task.k);
        auto entries = [&](auto work) {
            Rows place(task, tile, 0);
            for (int64_t row = 0; row < tile.rows; ++row, place.next()) {
                const int64_t at = place.at;
                for (int lane = 0; lane < place.count; ++lane) {
                    Vec<double> x[3] = {}, b, d;
                    for (int i = 0; i < Recurrence<R>::states; ++i) x[i] = all<double>(walk.state[i][at + lane]);
                    recurrence.form(all<double>(widen(walk.point[at + lane])), x, b, d);
                    work(roots[lane / tile.lanes_a_group], at + lane, b[0], d[0]);
                }
            }
        };
        for (auto& root : roots)
            if (root.lost) root.b_scale = root.d_scale = 0;
        entries([](GroupRoot& root, int64_t, double b, double d) {
            if (!root.lost) return;
            // In this order a NaN stays.
            root.b_scale = root.b_scale > std::fabs(b) ? root.b_scale : std::fabs(b);
            root.d_scale = root.d_scale > d ? root.d_scale : d;
        });
        struct Sums {
            double a = 0, b = 0, c = 0;
        };
        std::vector<Sums> sum(roots.size());
        auto at = [&](const GroupRoot& root) -> Sums& { return sum[&root - roots.data()]; };
        entries([&](GroupRoot& root, int64_t, double b, double d) {
            b /= root.b_scale, d /= root.d_scale;
            at(root).a += b * b, at(root).b += b * b * d;
        });
        const double threshold = task.lam * task.weight;
        std::vector<bool> again(roots.size());
        for (auto& root : roots) {
            if (!root.lost) continue;
            const size_t g = &root - roots.data();
            if (root.b_scale == 0) {
                root = GroupRoot{};
            } else if (root.b_scale <= 1.7e308 && root.d_scale <= 1.7e308) {
                again[g] = true;
                root.start(threshold / root.b_scale, sum[g].a, sum[g].b, 1);
            }
        }
        for (int iteration = 0; iteration < max_iterations && !all_done(); ++iteration) {
            std::fill(sum.begin(), sum.end(), Sums{});
            entries([&](GroupRoot& root, int64_t, double b, double d) {
                if (root.done) return;
                const double rd = root.r * d / root.d_scale, u = 1 / (rd + root.t), z = b / root.b_scale * u;
                at(root).a += z * z, at(root).b += z * z * rd * u, at(root).c += z * z * rd * u * rd * u;
            });
            for (auto& root : roots)
                if (!root.done) root.move(at(root).a, at(root).b, at(root).c, 2e-6, 1e-15);
        }
        for (auto& root : roots)
            if (!root.done) root.lose();
        auto solution = [](const GroupRoot& root, double b, double d) {
            return root.r * (b / root.b_scale) / (root.r * (d / root.d_scale) + root.t) * (root.b_scale / root.d_scale);
        };
        // A solution that R cannot hold is none.
        entries([&](GroupRoot& root, int64_t, double b, double d) {
            if (!root.lost && !(std::fabs(solution(root, b, d)) <= Simd<R>::largest)) root.lost = true;
        });
        entries([&](GroupRoot& root, int64_t at, double b, double d) {
            if (root.lost) walk.write(at, 1, V{}, M{}, false);
            else walk.write(at, 1, all<R>(R(solution(root, b, d))), M{}, true);
        });
        return std::count_if(roots.begin(), roots.end(), [](const GroupRoot& root) { return root.lost; });
    }
};
