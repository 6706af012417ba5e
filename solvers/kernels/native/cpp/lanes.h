// From the lanes of a tile to its groups and back.
#pragma once

#include <algorithm>
#include <vector>

#include "tile.h"

template <class R> class Lanes {
    static constexpr int lanes = Simd<R>::lanes, vectors = lanes / Simd<double>::lanes;
    Tile tile{};
    bool whole = false;
    std::vector<double> totals[5];

    static size_t padded(int count) { return (count + lanes - 1) / lanes * lanes; }

  public:
    // `all_rows`: whether the sums over all rows of a tile are taken at once.
    void reset(const Tile& which, bool all_rows) {
        tile = which, whole = all_rows;
        if (!side_by_side() && !together())
            for (auto& total : totals) total.resize(padded(tile.groups));
    }

    // Lanes of a row, whole vectors: at least as many as groups.
    size_t size() const { return size_t(tile.vectors) * lanes; }

    // Whether lane and group are the same; whether vector and group are; whether such a group has one sum from the start.
    bool side_by_side() const { return tile.lanes_a_group == 1 && tile.packs == 1; }
    bool in_runs() const { return tile.pieces > 0; }
    bool together() const { return in_runs() && whole; }

    // Where the sums of a vector begin among those of all: they have an entry per vector or per lane. Whole vectors of
    // doubles, as many entries as groups at least.
    int64_t sums_of(int v) const { return together() ? v : int64_t(v) * lanes; }
    size_t all_sums() const { return together() ? padded(tile.vectors) : size(); }

    // Calls work(lane, group) for every lane that belongs to a group.
    template <class Work> void each(Work work) const {
        size_t lane = 0;
        for (int64_t pack = 0; pack < tile.packs; ++pack)
            for (int g = 0; g < tile.groups; ++g)
                for (int i = 0; i < tile.lanes_a_group; ++i) work(lane++, g);
    }

    // The sums, or the maxima of magnitudes, of each group; `which` of five places to put them.
    template <bool maximum = false> const double* by_group(int which, const double* sums) {
        if (side_by_side() || together()) return sums;
        double* total = totals[which].data();
        if (in_runs() && !maximum) {
            for (int g = 0; g < tile.groups; ++g) {
                Doubles of_lanes[vectors];
                memcpy(of_lanes, sums + int64_t(g) * lanes, sizeof of_lanes);
                total[g] = lane_sum<vectors>(of_lanes);
            }
            return total;
        }
        std::fill(total, total + tile.groups, 0.0);
        each([&](size_t lane, int g) {
            total[g] = maximum ? larger_size(total[g], sums[lane]) : total[g] + sums[lane];
        });
        return total;
    }

    // of_lane[lane] = of_group[its group] in R; lanes of no group get `otherwise`.
    void spread(const double* of_group, R* of_lane, R otherwise) const {
        if (side_by_side()) {
            for (int g = 0; g < tile.groups; ++g) of_lane[g] = R(of_group[g]);
            std::fill(of_lane + tile.groups, of_lane + size(), otherwise);
            return;
        }
        if (in_runs()) {
            for (int g = 0; g < tile.groups; ++g) store<R>(of_lane + g * lanes, all<R>(R(of_group[g])));
            return;
        }
        std::fill(of_lane, of_lane + size(), otherwise);
        each([&](size_t lane, int g) { of_lane[lane] = R(of_group[g]); });
    }

    // of_vector[v] = whether some group with a lane in v is `wanted`.
    void mark(const uint8_t* wanted, uint8_t* of_vector) const {
        std::fill(of_vector, of_vector + tile.vectors, 0);
        if (in_runs()) std::copy(wanted, wanted + tile.groups, of_vector);
        else each([&](size_t lane, int g) { of_vector[lane / lanes] |= wanted[g]; });
    }
};
