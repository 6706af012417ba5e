// The elementwise part of each method: the state takes the gradient in, and gives B and D. The table in contract.py says the
// same in formulas. `writes` has a bit for every state tensor that changes, `from_point`: B depends on the parameter.
#pragma once

#include "simd.h"

template <class R> struct Ramda {
    static constexpr int states = 3, writes = 0b110;
    static constexpr bool from_point = false;
    R s, eps, decay;
    explicit Ramda(const double* k) : s(k[0]), eps(k[1]), decay(k[2]) {}
    template <class V> void update(V g, V* x) const {
        V weighted = s * g;
        x[1] += weighted;
        x[2] += weighted * g;
    }
    template <class V> void form(V, const V* x, V& b, V& d) const {
        const V p = cube_root<R>(x[2]) + eps;
        b = p * x[0] - x[1];
        d = p + decay;
    }
};

template <class R> struct Subproblem {
    static constexpr int states = 2, writes = 0;
    static constexpr bool from_point = false;
    explicit Subproblem(const double*) {}
    template <class V> void update(V, V*) const {}
    template <class V> void form(V, const V* x, V& b, V& d) const { b = x[0], d = x[1]; }
};

template <class R> struct Rmda {
    static constexpr int states = 2, writes = 0b10;
    static constexpr bool from_point = false;
    R s, beta, decay;
    explicit Rmda(const double* k) : s(k[0]), beta(k[1]), decay(k[2]) {}
    template <class V> void update(V g, V* x) const { x[1] += s * g; }
    template <class V> void form(V, const V* x, V& b, V& d) const {
        d = all<R>(beta + decay);
        b = beta * x[0] - x[1];
    }
};

template <class R> struct ProxSgd {
    static constexpr int states = 1, writes = 0b1;
    static constexpr bool from_point = true;
    R share, old, rate, kept;
    explicit ProxSgd(const double* k) : share(k[0]), old(1 - k[0]), rate(k[1]), kept(k[2]) {}
    template <class V> void update(V g, V* x) const { x[0] = old * x[0] + share * g; }
    template <class V> void form(V w, const V* x, V& b, V& d) const {
        d = all<R>(1);
        b = kept * w - rate * x[0];
    }
};

template <class R, bool amsgrad> struct ProxGen {
    static constexpr int states = amsgrad ? 3 : 2, writes = amsgrad ? 0b111 : 0b11;
    static constexpr bool from_point = true;
    R kept, share1, decay2, share2, scale, eps, rate;
    explicit ProxGen(const double* k)
        : kept(k[0]), share1(k[1]), decay2(k[2]), share2(k[3]), scale(k[4]), eps(k[5]), rate(k[6]) {}
    template <class V> void update(V g, V* x) const {
        x[0] += share1 * (g - x[0]);
        x[1] = decay2 * x[1] + share2 * (g * g);
        if constexpr (amsgrad) x[2] = x[2] > x[1] ? x[2] : x[1];
    }
    template <class V> void form(V w, const V* x, V& b, V& d) const {
        d = scale * square_root<R>(x[amsgrad ? 2 : 1]) + eps;
        b = d * (kept * w) - rate * x[0];
    }
};
