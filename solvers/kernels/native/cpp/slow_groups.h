// A tile of which some groups are out of the range of R: those once more, entry by entry in double, B and D scaled to
// max|b| = max d = 1. Rare.
#pragma once

#include <cmath>
#include <vector>

#include "norm_equation.h"
#include "tile.h"
#include "tensors.h"

template <class P, class R, template <class> class Recurrence> class SlowGroups {
    const Task& task;
    const Walk<P, R, Recurrence<R>>& walk;
    const Tile& tile;
    const Roots& fast; // of the groups that are not lost
    const Recurrence<double> recurrence;
    Roots slow;
    std::vector<double> unit_b, unit_d, sums[5];
    std::vector<bool> lost;

    // Calls work(group, place in memory, B, D) for every entry of the tile.
    template <class Work> void entries(Work work) {
        Rows place(task, tile, 0);
        for (int64_t row = 0; row < tile.rows; ++row, place.next())
            for (int lane = 0; lane < place.count; ++lane) {
                const int64_t at = place.at + lane;
                Vec<double> x[3] = {}, b, d;
                for (int i = 0; i < Recurrence<R>::states; ++i) x[i] = all<double>(walk.state[i][at]);
                recurrence.form(all<double>(widen(walk.point[at])), x, b, d);
                work(lane / tile.lanes_a_group % tile.groups, at, b[0], d[0]);
            }
    }

    double solution(int g, double b, double d) const {
        if (!fast.lost(g)) return fast.r(g) * b / (fast.r(g) * d + fast.t(g));
        return slow.r(g) * (b / unit_b[g]) / (slow.r(g) * (d / unit_d[g]) + slow.t(g)) * (unit_b[g] / unit_d[g]);
    }

    static void greater(double& most, double x) { most = most > x ? most : x; } // in this order a NaN stays

  public:
    SlowGroups(const Task& task, const Walk<P, R, Recurrence<R>>& walk, const Tile& tile, const Roots& fast)
        : task(task), walk(walk), tile(tile), fast(fast), recurrence(task.k) {
        const size_t padded = (tile.groups + 7) / 8 * 8;
        unit_b.assign(padded, 0), unit_d.assign(padded, 0), lost.assign(tile.groups, false);
        for (auto& sum : sums) sum.assign(padded, 0);
        slow.reset(tile.groups);
    }

    // Writes the whole tile; returns how many groups got Ŵ = point.
    int64_t solve() {
        entries([&](int g, int64_t, double b, double d) { greater(unit_b[g], std::fabs(b)), greater(unit_d[g], d); });
        for (int g = 0; g < tile.groups; ++g)
            if (unit_b[g] == 0) unit_b[g] = 1;
        entries([&](int g, int64_t, double b, double d) {
            b /= unit_b[g], d /= unit_d[g];
            sums[0][g] += b * b, sums[1][g] += b * b * d, sums[2][g] += b * b * d * d;
            greater(sums[3][g], d), greater(sums[4][g], std::fabs(b));
        });
        // The threshold is another one in the units of every group: one start each.
        Roots each;
        for (int g = 0; g < tile.groups; ++g) {
            double of_group[5][8] = {};
            for (int i = 0; i < 5; ++i) of_group[i][0] = sums[i][g];
            each.reset(1);
            each.start(task.lam * task.weight / unit_b[g], of_group[0], of_group[1], of_group[2], of_group[3], of_group[4],
                       1e-300, 1e300);
            slow.take(g, each);
        }
        for (int iteration = 0; iteration < max_iterations && !slow.all_done(); ++iteration) {
            for (auto& sum : sums) std::fill(sum.begin(), sum.end(), 0.0);
            entries([&](int g, int64_t, double b, double d) {
                const double rd = slow.r(g) * (d / unit_d[g]), u = 1 / (rd + slow.t(g)), z = b / unit_b[g] * u;
                sums[0][g] += z * z, sums[1][g] += z * z * rd * u, sums[2][g] += z * z * rd * u * rd * u;
            });
            slow.move(sums[0].data(), sums[1].data(), sums[2].data(), 2e-6, 1e-15);
        }
        slow.close();
        // A solution that R cannot hold is none.
        for (int g = 0; g < tile.groups; ++g) lost[g] = fast.lost(g) && slow.lost(g);
        entries([&](int g, int64_t, double b, double d) {
            if (!(std::fabs(solution(g, b, d)) <= Simd<R>::largest)) lost[g] = true;
        });
        entries([&](int g, int64_t at, double b, double d) {
            if (lost[g]) walk.write(at, 1, Vec<R>{}, Mask<R>{}, false);
            else walk.write(at, 1, all<R>(R(solution(g, b, d))), Mask<R>{}, true);
        });
        return std::count(lost.begin(), lost.end(), true);
    }
};
