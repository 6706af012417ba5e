// Vectors as wide as the machine's, by the vector extension that GCC and Clang share. Wider ones would be legal, but
// compilers take comparisons and choices among their halves apart into single entries.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE_MEMBER inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define INLINE static INLINE_MEMBER

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class R> struct Simd;

template <> struct Simd<float> {
    typedef float V __attribute__((vector_size(vector_bytes)));
    typedef int32_t M __attribute__((vector_size(vector_bytes)));
    typedef float Half __attribute__((vector_size(vector_bytes / 2)));
    static constexpr int lanes = vector_bytes / 4;
    static constexpr float largest = 3.4028234e38f;
    static constexpr double eps = 0x1p-23;
    static constexpr int32_t without_sign = 0x7fffffff, infinity_bits = 0x7f800000;
    // The bits of a first guess y of a^(-1/3) are guess - bits / 3, then |1 - a*y^3| <= 0.11. A step of the series leaves
    // 5e-5 of it, a second one 1e-18.
    static constexpr float guess = 1419900928.0f;
    static constexpr int root_steps = 1;
    // A power of 8 that takes large numbers to where y*y*y does not vanish; the bits of a denormal number times
    // `denormal` are it divided by a power of 8. And the cube roots of both.
    static constexpr float least = 0x1p-126f, large = 0x1p96f, down = 0x1p-72f, up_root = 0x1p24f;
    static constexpr float denormal = 2, denormal_root = 0x1p-50f;
};

template <> struct Simd<double> {
    typedef double V __attribute__((vector_size(vector_bytes)));
    typedef int64_t M __attribute__((vector_size(vector_bytes)));
    static constexpr int lanes = vector_bytes / 8;
    static constexpr double largest = 1.7976931348623157e308;
    static constexpr double eps = 0x1p-52;
    static constexpr int64_t without_sign = 0x7fffffffffffffff, infinity_bits = 0x7ff0000000000000;
    static constexpr double guess = 6142603860996959232.0;
    static constexpr int root_steps = 2;
    static constexpr double least = 0x1p-1022, large = 0x1p900, down = 0x1p-600, up_root = 0x1p200;
    static constexpr double denormal = 1, denormal_root = 0x1p-358;
};

template <class R> using Vec = typename Simd<R>::V;
template <class R> using Mask = typename Simd<R>::M;
using Doubles = Vec<double>;

struct bfloat16 {
    uint16_t bits;
};

// The largest number that a parameter of type P holds.
template <class P> constexpr auto largest_of = Simd<P>::largest;
template <> inline constexpr float largest_of<bfloat16> = 0x1.fep127f;

INLINE float widen(float x) { return x; }
INLINE double widen(double x) { return x; }
INLINE float widen(bfloat16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

template <class R> INLINE Vec<R> all(R x) { return x - Vec<R>{}; }

typedef uint16_t HalfWords __attribute__((vector_size(vector_bytes / 2)));
typedef uint32_t Words __attribute__((vector_size(vector_bytes)));

// count < lanes: the rest is zero and nothing beyond count is touched.
template <class R, class P> INLINE Vec<R> load(const P* from, int count = Simd<R>::lanes) {
    constexpr int lanes = Simd<R>::lanes;
    Vec<R> x = {};
    if constexpr (sizeof(P) == sizeof(R)) {
        if (count == lanes) memcpy(&x, from, sizeof x);
        else memcpy(&x, from, count * sizeof(R));
    } else {
        HalfWords half = {};
        if (count == lanes) memcpy(&half, from, sizeof half);
        else memcpy(&half, from, count * 2);
        x = (Vec<R>)(__builtin_convertvector(half, Words) << 16);
    }
    return x;
}

template <class R, class P> INLINE void store(P* to, Vec<R> x, int count = Simd<R>::lanes) {
    constexpr int lanes = Simd<R>::lanes;
    if constexpr (sizeof(P) == sizeof(R)) {
        if (count == lanes) memcpy(to, &x, sizeof x);
        else memcpy(to, &x, count * sizeof(R));
    } else {
        Words bits = (Words)x;
        // Round to nearest, ties to even, as torch does; a NaN stays one.
        Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        HalfWords half = __builtin_convertvector((Words)(x == x) ? rounded : Words{} + 0x7fc0, HalfWords);
        memcpy(to, &half, count == lanes ? sizeof half : count * 2);
    }
}

template <class R> INLINE Vec<R> magnitude(Vec<R> x) { return x < 0 ? -x : x; }

// sign(x) * max(|x| - t, 0), t >= 0; a NaN stays one, and an infinity.
template <class R> INLINE Vec<R> shrunk(Vec<R> x, R t) {
    const Vec<R> left = magnitude<R>(x) - t;
    return left <= 0 ? Vec<R>{} : (x < 0 ? -left : left);
}

// |x| as an integer: ordered as |x| is, and infinity and NaN are `infinity_bits` or more, so that a maximum keeps them.
template <class R> INLINE Mask<R> size_bits(Vec<R> x) { return (Mask<R>)x & Simd<R>::without_sign; }

INLINE Doubles widened(Simd<float>::Half x) {
#if defined(__AVX512F__)
    return (Doubles)_mm512_maskz_cvtps_pd(0xff, (__m256)x); // which GCC would do in halves
#else
    return __builtin_convertvector(x, Doubles);
#endif
}
INLINE Simd<float>::Half narrowed(Doubles x) {
#if defined(__AVX512F__)
    return (Simd<float>::Half)_mm512_maskz_cvtpd_ps(0xff, (__m512d)x);
#else
    return __builtin_convertvector(x, Simd<float>::Half);
#endif
}

// The lanes as doubles, in one vector or two.
INLINE void widen_all(Vec<double> x, Doubles* to) { *to = x; }
INLINE void widen_all(Vec<float> x, Doubles* to) {
    Simd<float>::Half halves[2];
    memcpy(halves, &x, sizeof x);
    for (int i = 0; i < 2; ++i) to[i] = widened(halves[i]);
}

// Every lane exchanged with the one whose number differs from its own by `distance`, a power of two.
template <int distance, class V, int... lane> INLINE V swap_lanes(V x, std::integer_sequence<int, lane...>) {
    return __builtin_shufflevector(x, x, (lane ^ distance)...);
}

// All lanes combined, half with half.
template <int half, class V, class Combine> INLINE V fold_lanes(V x, Combine combine) {
    if constexpr (half == 0) return x;
    else {
        constexpr int lanes = sizeof(V) / sizeof(x[0]);
        return fold_lanes<half / 2>(combine(x, swap_lanes<half>(x, std::make_integer_sequence<int, lanes>{})), combine);
    }
}

// The sum of the lanes of some vectors.
template <int vectors> INLINE double lane_sum(const Doubles* x) {
    Doubles sum = x[0];
    for (int i = 1; i < vectors; ++i) sum += x[i];
    return fold_lanes<Simd<double>::lanes / 2>(sum, [](Doubles a, Doubles b) INLINE_LAMBDA { return a + b; })[0];
}

// The number whose bits are the largest of those that `size_bits` gave.
template <class R> INLINE R largest_lane(Mask<R> bits) {
    using M = Mask<R>;
    bits = fold_lanes<Simd<R>::lanes / 2>(bits, [](M a, M b) INLINE_LAMBDA { return a > b ? a : b; });
    return ((Vec<R>)bits)[0];
}

// The larger of two numbers >= 0; a NaN is larger than any.
INLINE double larger_size(double a, double b) {
    int64_t x, y;
    memcpy(&x, &a, 8), memcpy(&y, &b, 8);
    return x < y ? b : a;
}

// Cube root of a >= 0 within two units in the last place; 0 at 0, NaN at infinity. Without a division: a^(-1/3) first.
// A denormal number, on which arithmetic is slow, is taken for the integer that its bits are.
template <class R> INLINE Vec<R> cube_root(Vec<R> a) {
    using S = Simd<R>;
    using M = Mask<R>;
    M zero = a == 0, tiny = (M)a < (M)all<R>(S::least), huge = a > S::large;
    a = tiny ? __builtin_convertvector((M)a, Vec<R>) * S::denormal : a;
    a = zero ? all<R>(1) : a;
    a *= huge ? all<R>(S::down) : all<R>(1);
    Vec<R> y = (Vec<R>)__builtin_convertvector(S::guess - __builtin_convertvector((M)a, Vec<R>) * R(1.0 / 3), M);
    for (int step = 0; step < S::root_steps; ++step) {
        // y*(1 - e)^(-1/3) by its series, e = 1 - a*y^3
        Vec<R> e = 1 - a * (y * y * y);
        y += y * e * (R(1.0 / 3) + e * (R(2.0 / 9) + e * R(14.0 / 81)));
    }
    Vec<R> square = y * y, x = a * square;
    // One step of Newton's method for x^3 = a, 1/(3 x^2) = y^2/3, takes the rounding of y out.
    x += (a - x * x * x) * (square * R(1.0 / 3));
    x *= tiny ? all<R>(S::denormal_root) : (huge ? all<R>(S::up_root) : all<R>(1));
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
template <class M> INLINE bool any(M mask) { return !every(mask == 0); }
