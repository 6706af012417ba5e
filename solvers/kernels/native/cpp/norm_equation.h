// One scalar equation per group, as in solvers/regularizers/norm_equation.py, which has the reasons: with r = ||z||,
// z = r*b / (r*d + t) and phi(r) = sum b^2 / (r*d + t)^2 = 1. In double, for many groups at a time; R is the dtype of the
// sums and of r, so that what is judged is the r that is used.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensors.h"

// Arrays with an entry per group, of whole vectors. What fills the last vector is no group.
template <class R> class Roots {
    using V = Doubles;
    using M = Mask<double>;
    static constexpr int lanes = Simd<double>::lanes;
    static constexpr double eps = Simd<R>::eps;
    // Sizes of b and d between which no sum of squares leaves R's range.
    static constexpr double least = sizeof(R) == 4 ? 1e-9 : 1e-70, most = sizeof(R) == 4 ? 1e9 : 1e70;
    static constexpr int widest = sizeof(R) == 4 ? 126 : 1022; // exponent

    const Settings& settings;
    int groups = 0;
    // t in units of b; 1/unit of b and of d, powers of two; the root, and the bounds that are known of it.
    std::vector<V> t, b_unit, d_unit, r, low, high;
    // Solved, zero or failed; without a solution; because b or d is not finite; the last gap was small but for rounding.
    std::vector<M> done, failed, hopeless, near;
    std::vector<uint8_t> flags;

    static V get(const double* from, size_t i) { return load<double>(from + i * lanes); }
    static V root(V x) { return square_root<double>(x); }
    static V larger(V a, V b) { return a > b ? a : b; }
    // To the dtype in which r is used.
    static V rounded(V x) {
        if constexpr (sizeof(R) == 4)
            return widened(narrowed(x));
        else return x;
    }

  public:
    explicit Roots(const Settings& settings) : settings(settings) {}

    static int padded(int count) { return (count + lanes - 1) / lanes * lanes; }
    bool all_done() const { return all_done(0, groups); }
    // Whether the groups from..to-1, and those that share a vector with them, are done.
    bool all_done(int from, int to) const {
        M together = M{} - 1;
        for (int i = from / lanes; i * lanes < to; ++i) together &= done[i];
        return every(together);
    }
    bool has_failed(int g) const { return failed[g / lanes][g % lanes]; }
    bool is_hopeless(int g) const { return hopeless[g / lanes][g % lanes]; }
    // Of every group, in its units: the root and t. 0 and infinity where z = 0, which gives z = 0 without further ado.
    const double* all_r() const { return (const double*)r.data(); }
    const double* all_t() const { return (const double*)t.data(); }
    // One over the units of b and d.
    const double* all_b_units() const { return (const double*)b_unit.data(); }
    const double* all_d_units() const { return (const double*)d_unit.data(); }
    // Which groups are not done.
    const uint8_t* all_open() {
        flags.resize(groups);
        for (int g = 0; g < groups; ++g) flags[g] = done[g / lanes][g % lanes] == 0;
        return flags.data();
    }
    // Which groups are not zero.
    const uint8_t* all_nonzero() {
        flags.resize(groups);
        for (int g = 0; g < groups; ++g) flags[g] = all_r()[g] > 0;
        return flags.data();
    }

    // From max|b| and max d of every group and the price of a unit of ||z||: which groups fail, because those are not
    // finite, and which are zero whatever the sums are, since ||b|| <= max|b| * sqrt(size). Returns whether others have
    // b or d so small or large that they must be scaled by their units.
    bool screen(int count, int64_t size, double price, const double* longest, const double* steepest) {
        groups = count;
        const size_t vectors = padded(count) / lanes;
        t.resize(vectors), r.assign(vectors, V{}), near.assign(vectors, M{});
        b_unit.assign(vectors, all<double>(1)), d_unit.assign(vectors, all<double>(1));
        low.resize(vectors), high.resize(vectors), done.resize(vectors), failed.resize(vectors), hopeless.resize(vectors);
        const double enough = std::sqrt(double(size)) * (1 + settings.margin * eps), largest = Simd<R>::largest;
        M odd_ones = {};
        for (size_t i = 0; i < vectors; ++i) {
            const V b = get(longest, i), d = get(steepest, i);
            const M finite = (b <= largest) & (d <= largest) & (all<double>(price) >= 0), zero = finite & (b * enough <= price);
            const M odd = finite & ~zero & ((b < least) | (b > most) | (d < least) | (d > most));
            odd_ones |= odd;
            t[i] = all<double>(price);
            failed[i] = hopeless[i] = ~finite;
            done[i] = ~finite | zero;
            if (any(odd)) scale(i, odd, b, d);
        }
        // What fills the last vector.
        for (int g = groups; g < int(vectors) * lanes; ++g) done[g / lanes][g % lanes] = -1, failed[g / lanes][g % lanes] = 0;
        return any(odd_ones);
    }

    // From sum b^2, sum b^2*d, sum b^2*d^2 of every group, in its units: where the iteration starts.
    void start(const double* square, const double* weighted, const double* twice) {
        for (size_t i = 0; i < r.size(); ++i) {
            const V s = get(square, i), w = get(weighted, i), size = root(s);
            // So small a price changes nothing, and 1/t stays in range. (The largest b in its unit is 1 or more, or it
            // is at least `least`.)
            const V price = larger(t[i], size * settings.least_price);
            const M open = ~done[i] & (size > price), sound = (w > 0) & (w <= Simd<double>::largest);
            // Jensen's lower bound, with the mean of d under the weights b^2, its rounding taken off.
            const V mean = w / s, above = size * (1 - settings.loose * eps) - price;
            low[i] = above > 0 ? above / mean * (1 - settings.margin * eps) : V{};
            high[i] = all<double>(INFINITY);
            // With the variance of d beside its mean, to second order; no bound, but most often closer.
            const V part = 1 - price / size, variance = get(twice, i) / (s * mean * mean) - 1;
            const V better = (size * root(1 + 3 * part * part * (variance > 0 ? variance : V{})) - price) / mean;
            const V first = (better > low[i]) & (better <= Simd<double>::largest) ? better : low[i];
            failed[i] |= open & ~sound;
            r[i] = open & sound ? rounded(first) : V{};
            t[i] = open & sound ? price : all<double>(INFINITY);
            done[i] |= ~open | ~sound;
        }
    }

    // One step of Cauchy's third-order method on h(r) = phi^(-1/2), between the best bounds known; the sums are
    // dimensionless: psi = sum b^2 u^2 (rdu), chi = sum b^2 u^2 (rdu)^2. `noise` bounds the rounding of phi^(1/2).
    void move(const double* phis, const double* psis, const double* chis, double noise, bool last) {
        const double tight = settings.tight * eps, loose = settings.loose * eps + noise, margin = settings.margin * eps;
        for (size_t i = 0; i < r.size(); ++i) {
            const V phi = get(phis, i), slope = get(psis, i) / phi, at = r[i];
            const V gap = 1 - root(phi), bend = 3 * (slope * slope - get(chis, i) / phi), size = magnitude<double>(gap);
            const M open = ~done[i], sound = (slope > 0) & (size <= Simd<double>::largest) & (at > 0);
            // Solved, as far as rounding lets see: at a second look there is nothing left to gain.
            const M small = size <= loose, solved = (size <= tight) | (small & (near[i] | (all<double>(last) != 0)));
            near[i] = small;
            // From below Newton's step stays below, and nothing cancels in it.
            const V newton = at * (1 + (-gap * (1 - margin) - loose) / slope);
            low[i] = (gap < 0) & (newton > low[i]) ? newton : low[i];
            high[i] = (gap > 0) & (at < high[i]) ? at : high[i];
            const V radicand = slope * slope - 2 * gap * bend;
            V next = at * (1 - 2 * gap / (slope + root(radicand > 0 ? radicand : V{})));
            next = next < low[i] ? low[i] : next;
            next = next > high[i] ? high[i] : next;
            // Where the bounds leave room down to zero.
            next = next > 0 ? next : at / 8;
            failed[i] |= open & ~sound;
            done[i] |= ~sound | solved;
            r[i] = open & sound & ~solved ? rounded(next) : r[i];
        }
    }

    void give_up(int g) { failed[g / lanes][g % lanes] = done[g / lanes][g % lanes] = -1; }

    // Give up on those that are not done.
    void close() {
        for (size_t i = 0; i < r.size(); ++i) {
            failed[i] |= ~done[i];
            done[i] |= ~done[i];
            r[i] = failed[i] ? V{} : r[i];
            t[i] = failed[i] ? all<double>(INFINITY) : t[i];
        }
    }

  private:
    // Units of those groups of vector i that are `odd`: max|b| and max d become numbers in [1, 2), or as close to them as
    // a power of two in R takes them.
    void scale(size_t i, M odd, V longest, V steepest) {
        for (int lane = 0; lane < lanes; ++lane) {
            if (!odd[lane]) continue;
            if (steepest[lane] == 0) {
                give_up(int(i) * lanes + lane);
                continue;
            }
            b_unit[i][lane] = std::ldexp(1.0, -std::clamp(std::ilogb(longest[lane]), -widest, widest));
            d_unit[i][lane] = std::ldexp(1.0, -std::clamp(std::ilogb(steepest[lane]), -widest, widest));
            t[i][lane] *= b_unit[i][lane];
        }
    }
};
