// Vectors of one cache line, by the vector extension that GCC and Clang share; the compiler maps them to what there is.
#pragma once

#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))

template <class R> struct Simd;

template <> struct Simd<float> {
    typedef float V __attribute__((vector_size(64)));
    typedef int32_t M __attribute__((vector_size(64)));
    static constexpr int lanes = 16;
    static constexpr float largest = 3.4028234e38f;
    // Bits of a first guess of the cube root are bits / 3 + guess; two steps of Halley's method reach float's precision.
    static constexpr float guess = 709921077.0f;
    static constexpr int root_steps = 2;
    // Powers of 8 that take very small and very large numbers to where x*x*x neither vanishes nor overflows.
    static constexpr float small = 0x1p-96f, large = 0x1p96f, up = 0x1p72f, down = 0x1p-72f, up_root = 0x1p24f,
                           down_root = 0x1p-24f;
};

template <> struct Simd<double> {
    typedef double V __attribute__((vector_size(64)));
    typedef int64_t M __attribute__((vector_size(64)));
    static constexpr int lanes = 8;
    static constexpr double largest = 1.7976931348623157e308;
    static constexpr double guess = 3071306043645493248.0;
    static constexpr int root_steps = 3;
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

// Round to nearest, ties to even, as torch does; a NaN stays one.
INLINE void narrow(bfloat16* to, float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    to->bits = x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
INLINE void narrow(float* to, float x) { *to = x; }
INLINE void narrow(double* to, double x) { *to = x; }

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
        Wide rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        Half half = __builtin_convertvector((Wide)(x == x) ? rounded : Wide{} + 0x7fc0, Half);
        memcpy(to, &half, count == lanes ? sizeof half : count * 2);
    }
}

template <class R> INLINE Vec<R> magnitude(Vec<R> x) { return x < 0 ? -x : x; }

// Cube root of a >= 0 within two units in the last place; 0 at 0, NaN at infinity.
template <class R> INLINE Vec<R> cube_root(Vec<R> a) {
    using S = Simd<R>;
    using M = Mask<R>;
    M zero = a == 0, tiny = a < S::small, huge = a > S::large;
    a = zero ? all<R>(1) : a;
    a *= tiny ? all<R>(S::up) : (huge ? all<R>(S::down) : all<R>(1));
    Vec<R> x = (Vec<R>)__builtin_convertvector(__builtin_convertvector((M)a, Vec<R>) * R(1.0 / 3) + S::guess, M);
    for (int step = 0; step < S::root_steps; ++step) {
        Vec<R> cube = x * x * x;
        x *= (cube + 2 * a) / (2 * cube + a);
    }
    x *= tiny ? all<R>(S::down_root) : (huge ? all<R>(S::up_root) : all<R>(1));
    return zero ? Vec<R>{} : x;
}

template <class R> INLINE Vec<R> square_root(Vec<R> a) {
    for (int lane = 0; lane < Simd<R>::lanes; ++lane) a[lane] = sizeof(R) == 4 ? __builtin_sqrtf(a[lane]) : __builtin_sqrt(a[lane]);
    return a;
}
