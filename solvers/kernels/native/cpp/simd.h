// Vectors of one cache line, by the vector extension that GCC and Clang share; the compiler maps them to what there is.
#pragma once

#include <cstdint>
#include <cstring>

#define INLINE_MEMBER inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define INLINE static INLINE_MEMBER

template <class R> struct Simd;

template <> struct Simd<float> {
    typedef float V __attribute__((vector_size(64)));
    typedef int32_t M __attribute__((vector_size(64)));
    static constexpr int lanes = 16;
    static constexpr float largest = 3.4028234e38f;
    // The bits of a first guess y of a^(-1/3) are guess - bits / 3, then |1 - a*y^3| <= 0.11. A step of the series leaves
    // 5e-5 of it, a second one 1e-18.
    static constexpr float guess = 1419900928.0f;
    static constexpr int root_steps = 1;
    // Powers of 8 that take very small and very large numbers to where x*x*x neither vanishes nor overflows.
    static constexpr float small = 0x1p-96f, large = 0x1p96f, up = 0x1p72f, down = 0x1p-72f, up_root = 0x1p24f,
                           down_root = 0x1p-24f;
};

template <> struct Simd<double> {
    typedef double V __attribute__((vector_size(64)));
    typedef int64_t M __attribute__((vector_size(64)));
    static constexpr int lanes = 8;
    static constexpr double largest = 1.7976931348623157e308;
    static constexpr double guess = 6142603860996959232.0;
    static constexpr int root_steps = 2;
    static constexpr double small = 0x1p-900, large = 0x1p900, up = 0x1p600, down = 0x1p-600, up_root = 0x1p200,
                            down_root = 0x1p-200;
};

template <class R> using Vec = typename Simd<R>::V;
template <class R> using Mask = typename Simd<R>::M;

struct bfloat16 {
    uint16_t bits;
};

INLINE float widen(float x) { return x; }
INLINE double widen(double x) { return x; }
INLINE float widen(bfloat16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

template <class R> INLINE Vec<R> all(R x) { return x - Vec<R>{}; }

// count < lanes: the rest is zero and nothing beyond count is touched.
template <class R, class P> INLINE Vec<R> load(const P* from, int count = Simd<R>::lanes) {
    constexpr int lanes = Simd<R>::lanes;
    Vec<R> x = {};
    if constexpr (sizeof(P) == sizeof(R)) {
        if (count == lanes) memcpy(&x, from, sizeof x);
        else memcpy(&x, from, count * sizeof(R));
    } else {
        typedef uint16_t Half __attribute__((vector_size(32)));
        typedef uint32_t Wide __attribute__((vector_size(64)));
        Half half = {};
        if (count == lanes) memcpy(&half, from, sizeof half);
        else memcpy(&half, from, count * 2);
        x = (Vec<R>)(__builtin_convertvector(half, Wide) << 16);
    }
    return x;
}

template <class R, class P> INLINE void store(P* to, Vec<R> x, int count = Simd<R>::lanes) {
    constexpr int lanes = Simd<R>::lanes;
    if constexpr (sizeof(P) == sizeof(R)) {
        if (count == lanes) memcpy(to, &x, sizeof x);
        else memcpy(to, &x, count * sizeof(R));
    } else {
        typedef uint16_t Half __attribute__((vector_size(32)));
        typedef uint32_t Wide __attribute__((vector_size(64)));
        Wide bits = (Wide)x;
        // Round to nearest, ties to even, as torch does; a NaN stays one.
        Wide rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        Half half = __builtin_convertvector((Wide)(x == x) ? rounded : Wide{} + 0x7fc0, Half);
        memcpy(to, &half, count == lanes ? sizeof half : count * 2);
    }
}

template <class R> INLINE Vec<R> magnitude(Vec<R> x) { return x < 0 ? -x : x; }

// Cube root of a >= 0 within two units in the last place; 0 at 0, NaN at infinity. Without a division: a^(-1/3) first.
template <class R> INLINE Vec<R> cube_root(Vec<R> a) {
    using S = Simd<R>;
    using M = Mask<R>;
    M zero = a == 0, tiny = a < S::small, huge = a > S::large;
    a = zero ? all<R>(1) : a;
    a *= tiny ? all<R>(S::up) : (huge ? all<R>(S::down) : all<R>(1));
    Vec<R> y = (Vec<R>)__builtin_convertvector(S::guess - __builtin_convertvector((M)a, Vec<R>) * R(1.0 / 3), M);
    for (int step = 0; step < S::root_steps; ++step) {
        // y*(1 - e)^(-1/3) by its series, e = 1 - a*y^3
        Vec<R> e = 1 - a * (y * y * y);
        y += y * e * (R(1.0 / 3) + e * (R(2.0 / 9) + e * R(14.0 / 81)));
    }
    Vec<R> square = y * y, x = a * square;
    // One step of Newton's method for x^3 = a, 1/(3 x^2) = y^2/3, takes the rounding of y out.
    x += (a - x * x * x) * (square * R(1.0 / 3));
    x *= tiny ? all<R>(S::down_root) : (huge ? all<R>(S::up_root) : all<R>(1));
    return zero ? Vec<R>{} : x;
}

template <class R> INLINE Vec<R> square_root(Vec<R> a) {
    for (int lane = 0; lane < Simd<R>::lanes; ++lane) a[lane] = sizeof(R) == 4 ? __builtin_sqrtf(a[lane]) : __builtin_sqrt(a[lane]);
    return a;
}

template <class M> INLINE bool every(M mask) {
    bool yes = true;
    for (unsigned lane = 0; lane < sizeof(M) / sizeof(mask[0]); ++lane) yes &= mask[lane] != 0;
    return yes;
}
