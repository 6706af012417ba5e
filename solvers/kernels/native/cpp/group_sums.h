// The sums of a group over B and D in the scratch, for one vector of lanes: what all the time is spent on.
#pragma once

#include "simd.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

// While it lives, results too small for a normal number become zero: sums of squares do not miss what is 1e-38 of their
// largest terms, and denormal numbers cost a hundred cycles each on some processors. Numbers that come in are not touched.
class FlushToZero {
#if defined(__SSE__)
    const unsigned before = _mm_getcsr();

  public:
    FlushToZero() { _mm_setcsr(before | 0x8000); }
    ~FlushToZero() { _mm_setcsr(before); }
#else
  public:
    FlushToZero() {}
    ~FlushToZero() {}
#endif
    FlushToZero(const FlushToZero&) = delete;
    FlushToZero& operator=(const FlushToZero&) = delete;
};

// Rows that are summed in R before they enter a double: the sum is then wrong by 16 roundings at most.
constexpr int64_t block = 16;

// Where the sums of a vector are kept: with as many doubles each as it has lanes, or (`together`, where all lanes belong to
// one group and all of its rows are there) in one double.
struct VectorSums {
    double* of[5];
};

// The sums of blocks, one after the other, in whatever portions they come.
template <class R, bool together> class Totals {
    static constexpr int halves = Simd<R>::lanes / Simd<double>::lanes;
    Doubles total[3][halves] = {};

  public:
    INLINE_MEMBER explicit Totals(const VectorSums& sums) {
        if constexpr (!together)
            for (int which = 0; which < 3; ++which)
                for (int i = 0; i < halves; ++i) total[which][i] = load<double>(sums.of[which] + i * Simd<double>::lanes);
    }
    INLINE_MEMBER void add(int which, Vec<R> sum) {
        Doubles wide[halves];
        widen_all(sum, wide);
        for (int i = 0; i < halves; ++i) total[which][i] += wide[i];
    }
    INLINE_MEMBER void put_into(const VectorSums& sums) const {
        for (int which = 0; which < 3; ++which) {
            if constexpr (together) *sums.of[which] = lane_sum<halves>(total[which]);
            else
                for (int i = 0; i < halves; ++i)
                    store<double>(sums.of[which] + i * Simd<double>::lanes, total[which][i]);
        }
    }
};

// of[0..2] += sum b^2, sum b^2*d, sum b^2*d^2; of[3] and of[4] at least max|b| and max|d|. A NaN stays in the maxima.
template <class R, bool together>
inline void add_moments(const Vec<R>* b, const Vec<R>* d, int64_t rows, const VectorSums& sums) {
    using V = Vec<R>;
    Mask<R> longest = {}, steepest = {};
    Totals<R, together> totals(sums);
    for (int64_t from = 0; from < rows; from += block) {
        const int64_t end = rows < from + block ? rows : from + block;
        V square = {}, weighted = {}, twice = {};
        for (int64_t row = from; row < end; ++row) {
            const V b2 = b[row] * b[row], b2d = b2 * d[row];
            square += b2;
            weighted += b2d;
            twice += b2d * d[row];
            const Mask<R> size = size_bits<R>(b[row]), slope = size_bits<R>(d[row]);
            longest = longest > size ? longest : size;
            steepest = steepest > slope ? steepest : slope;
        }
        totals.add(0, square), totals.add(1, weighted), totals.add(2, twice);
    }
    totals.put_into(sums);
    if constexpr (together) {
        *sums.of[3] = larger_size(*sums.of[3], largest_lane<R>(longest));
        *sums.of[4] = larger_size(*sums.of[4], largest_lane<R>(steepest));
    } else {
        for (int lane = 0; lane < Simd<R>::lanes; ++lane) {
            sums.of[3][lane] = larger_size(sums.of[3][lane], ((V)longest)[lane]);
            sums.of[4][lane] = larger_size(sums.of[4][lane], ((V)steepest)[lane]);
        }
    }
}

// of[0..2] += phi, psi, chi at r, with one division an entry. Every term lies in [0, 1] at the root.
template <class R, bool together>
inline void add_equation(const Vec<R>* b, const Vec<R>* d, int64_t rows, Vec<R> r, Vec<R> t, const VectorSums& sums) {
    using V = Vec<R>;
    Totals<R, together> totals(sums);
    for (int64_t from = 0; from < rows; from += block) {
        const int64_t end = rows < from + block ? rows : from + block;
        V phi = {}, psi = {}, chi = {};
        for (int64_t row = from; row < end; ++row) {
            const V rd = r * d[row], u = 1 / (rd + t), root = b[row] * u, term = root * root, ratio = rd * u;
            const V bent = term * ratio;
            phi += term;
            psi += bent;
            chi += bent * ratio;
        }
        totals.add(0, phi), totals.add(1, psi), totals.add(2, chi);
    }
    totals.put_into(sums);
}
