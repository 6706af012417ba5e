// One scalar equation per group, as in solvers/regularizers/norm_equation.py: with r = ||z||, z = r*b / (r*d + t) and
// phi(r) = sum b^2 / (r*d + t)^2 = 1. Here with one division an entry and iteration, and every quantity that is summed
// lies in [0, 1] at the root: b*u, r*d*u with u = 1 / (r*d + t). In double, for many groups at a time.
#pragma once

#include <cmath>
#include <vector>

#include "simd.h"

constexpr int max_iterations = 20;

class Roots {
    using V = Vec<double>;
    using M = Mask<double>;
    static constexpr int lanes = Simd<double>::lanes;

    std::vector<V> t_, r_, low, high;
    std::vector<M> done_, lost_;

    static V get(const double* from, int i) { return load<double>(from + i * lanes); }
    static M finite(V x) { return magnitude<double>(x) <= Simd<double>::largest; }

  public:
    int groups = 0;

    // z = 0 for all: r = 0, t = 1.
    void reset(int count) {
        groups = count;
        const int vectors = (count + lanes - 1) / lanes;
        t_.assign(vectors, all<double>(1)), r_.assign(vectors, V{});
        low.assign(vectors, V{}), high.assign(vectors, V{});
        done_.assign(vectors, M{} - 1), lost_.assign(vectors, M{});
    }

    const double* all_r() const { return (const double*)r_.data(); }
    const double* all_t() const { return (const double*)t_.data(); }
    double r(int g) const { return r_[g / lanes][g % lanes]; }
    double t(int g) const { return t_[g / lanes][g % lanes]; }
    bool done(int g) const { return done_[g / lanes][g % lanes]; }
    bool lost(int g) const { return lost_[g / lanes][g % lanes]; }

    bool all_done() const { return all_done(0, groups); }
    // Whether the groups from..to-1, and those that share a vector with them, are done.
    bool all_done(int from, int to) const {
        M together = M{} - 1;
        for (int i = from / lanes; i * lanes < to; ++i) together &= done_[i];
        return every(together);
    }
    bool any_lost() const {
        M together = {};
        for (const M& mask : lost_) together |= mask;
        return !every(~together);
    }

    // From sum b^2, sum b^2*d, sum b^2*d^2, max d and max |b| of every group, arrays of whole vectors; `t` is the price of a
    // unit of ||z||. Numbers outside [least, most] are not trusted in the dtype of the sums: such groups are lost.
    void start(double t, const double* square, const double* weighted, const double* twice, const double* steepest,
               const double* longest, double least, double most) {
        for (size_t i = 0; i < r_.size(); ++i) {
            const V s = get(square, i), w = get(weighted, i), d = get(steepest, i), b = get(longest, i);
            const V size = square_root<double>(s);
            const M nothing = (b == 0) & (s == 0);
            const M sound = (b >= least) & (b <= most) & (d >= least) & (d <= most) & finite(s) & finite(w);
            const M zero = nothing | (sound & (size <= t));
            // Jensen's lower bound with the mean of d under the weights b^2, and the crude one, which guards it against
            // rounding.
            const V crude = (size - t) / d, jensen = crude * s * d / w;
            low[i] = jensen > crude ? jensen : crude;
            // With the variance of d beside its mean, to second order; no bound, but most often closer.
            const V mean = w / s, part = 1 - t / size, variance = get(twice, i) / (s * mean * mean) - 1;
            const V better = (size * square_root<double>(1 + 3 * part * part * (variance > 0 ? variance : V{})) - t) / mean;
            const M found = sound & ~zero & (low[i] > 0) & finite(low[i]);
            lost_[i] = ~found & ~zero;
            done_[i] = ~found;
            r_[i] = found ? ((better > low[i]) & finite(better) ? better : low[i]) : V{};
            t_[i] = found ? all<double>(t) : all<double>(1);
            high[i] = all<double>(INFINITY);
        }
        // What pads the last vector is no group.
        for (int g = groups; g < int(r_.size()) * lanes; ++g) done_[g / lanes][g % lanes] = -1, lost_[g / lanes][g % lanes] = 0;
    }

    // One step of Cauchy's third-order method on h(r) = phi^(-1/2), between the best bounds known; the sums are
    // dimensionless: psi = sum b^2 u^2 (rdu), chi = sum b^2 u^2 (rdu)^2.
    void move(const double* phis, const double* psis, const double* chis, double close, double exact) {
        for (size_t i = 0; i < r_.size(); ++i) {
            const V phi = get(phis, i), slope = get(psis, i) / phi, r = r_[i];
            const V gap = 1 - square_root<double>(phi), bend = 3 * (slope * slope - get(chis, i) / phi);
            const M sound = (slope > 0) & finite(gap) & finite(bend);
            const V newton = r * (1 - gap / slope);
            low[i] = newton > low[i] ? newton : low[i];
            high[i] = (gap > 0) & (r < high[i]) ? r : high[i];
            const V radicand = slope * slope - 2 * gap * bend;
            V next = r * (1 - 2 * gap / (slope + square_root<double>(radicand > 0 ? radicand : V{})));
            next = next < low[i] ? low[i] : next;
            next = next > high[i] ? high[i] : next;
            // The error that is left is of the order of the cube of this step.
            const M here = (magnitude<double>(next - r) <= close * r) | (magnitude<double>(gap) <= exact);
            const M open = ~done_[i];
            r_[i] = open ? (sound ? next : V{}) : r;
            t_[i] = open & ~sound ? all<double>(1) : t_[i];
            lost_[i] |= open & ~sound;
            done_[i] |= ~sound | here;
        }
    }

    // Group g as the only group of `other`.
    void take(int g, const Roots& other) {
        const int i = g / lanes, lane = g % lanes;
        t_[i][lane] = other.t_[0][0], r_[i][lane] = other.r_[0][0], low[i][lane] = other.low[0][0];
        high[i][lane] = other.high[0][0], done_[i][lane] = other.done_[0][0], lost_[i][lane] = other.lost_[0][0];
    }

    // Give up on those that are not done.
    void close() {
        for (size_t i = 0; i < r_.size(); ++i) {
            lost_[i] |= ~done_[i];
            r_[i] = done_[i] ? r_[i] : V{};
            t_[i] = done_[i] ? t_[i] : all<double>(1);
            done_[i] |= ~done_[i];
        }
    }
};
