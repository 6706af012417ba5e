// One group in double, entry by entry: where the sums in the dtype of the state did not find its root.
#pragma once

#include <cmath>
#include <vector>

#include "norm_equation.h"

// Replaces b by the solution, none of whose entries is larger than `largest`; false where there is no such solution.
inline bool solve_carefully(const Settings& settings, double price, double largest, std::vector<double>& b,
                            std::vector<double>& d) {
    constexpr int lanes = Simd<double>::lanes; // of which the group takes the first
    double longest[lanes] = {}, steepest[lanes] = {}, sums[3][lanes] = {};
    for (size_t i = 0; i < b.size(); ++i) {
        if (!std::isfinite(b[i]) || !std::isfinite(d[i])) return false;
        longest[0] = std::max(longest[0], std::fabs(b[i]));
        steepest[0] = std::max(steepest[0], d[i]);
    }
    Roots<double> roots(settings);
    roots.screen(1, int64_t(b.size()), price, longest, steepest);
    const double b_unit = roots.all_b_units()[0], d_unit = roots.all_d_units()[0];
    for (size_t i = 0; i < b.size(); ++i) {
        b[i] *= b_unit, d[i] *= d_unit;
        const double b2 = b[i] * b[i];
        sums[0][0] += b2, sums[1][0] += b2 * d[i], sums[2][0] += b2 * d[i] * d[i];
    }
    roots.start(sums[0], sums[1], sums[2]);
    const double noise = double(b.size()) * Simd<double>::eps;
    for (int64_t iteration = 1; iteration <= settings.max_iterations && !roots.all_done(); ++iteration) {
        const double r = roots.all_r()[0], t = roots.all_t()[0];
        for (auto& sum : sums) sum[0] = 0;
        for (size_t i = 0; i < b.size(); ++i) {
            const double rd = r * d[i], u = 1 / (rd + t), root = b[i] * u, ratio = rd * u;
            const double term = root * root, bent = term * ratio;
            sums[0][0] += term, sums[1][0] += bent, sums[2][0] += bent * ratio;
        }
        roots.move(sums[0], sums[1], sums[2], noise, iteration == settings.max_iterations);
    }
    roots.close();
    if (roots.has_failed(0)) return false;
    const double r = roots.all_r()[0], t = roots.all_t()[0];
    for (size_t i = 0; i < b.size(); ++i) {
        b[i] = r > 0 ? b[i] / (d[i] + t / r) * d_unit / b_unit : 0;
        if (!(std::fabs(b[i]) <= largest)) return false;
    }
    return true;
}
