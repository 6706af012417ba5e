// Which groups are solved together, and where their entries lie.
#pragma once

#include <algorithm>

#include "tensors.h"

// The entries of some groups as rows of `width` lanes, each of which belongs to one group.
//
// Groups either lie side by side in a row, every one with `lanes_a_group` neighbouring lanes, or (`pieces` > 0) every
// group has vectors of its own: a run of `inner` entries is cut into `pieces` of one vector each, which are its rows. Or
// (`turned`) every group is one lane and its entries are the rows, whatever block it is of: groups are then numbered
// through all blocks.
struct Tile {
    int64_t rows;
    int width, groups;
    int lanes_a_group; // neighbours that belong to one group, before the next group's
    int64_t first;     // the first group
    int64_t pieces;
    int64_t packs; // times that the groups follow each other in a row: the whole tensor then lies in one piece
    int vectors;   // of a row
    bool turned;   // the scratch then holds b and d as if the groups were columns, whatever their order in memory
};

constexpr int64_t row_entries = 512;  // of a tile, at most
constexpr int64_t narrow_row = 64;    // entries around which rows are packed or groups get vectors of their own
constexpr int64_t run_entries = 1 << 14; // of the groups with vectors of their own that are solved together

inline bool in_runs(const Task& task) { return 2 * task.inner >= narrow_row || task.groups == 1; }

constexpr int64_t few_rows = 4; // for which sums over lanes cost more than turning the entries does

// Groups of a few entries in pieces, as depthwise convolutions and those of many small blocks have them.
inline bool worth_turning(const Task& task) {
    return !in_runs(task) && task.outer <= few_rows && (task.inner > 1 || task.blocks > 1);
}

// The fewest repetitions of `entries` that fill whole vectors.
inline int64_t even(int64_t entries, int lanes) {
    int64_t times = 1;
    while (times * entries % lanes) times *= 2;
    return times;
}

// How many groups a tile has: enough for full vectors and, if that many entries may be kept, for long rows.
inline int64_t groups_a_tile(const Task& task, int lanes, int64_t entries) {
    if (in_runs(task)) return std::clamp<int64_t>(run_entries / (task.outer * task.inner), 1, task.groups);
    const int64_t step = even(task.inner, lanes), wanted = std::min(row_entries, entries / task.outer);
    return std::min(task.groups, std::max<int64_t>(1, wanted / (step * task.inner)) * step);
}

inline Tile make_turned_tile(const Task& task, int64_t first, int64_t groups, int lanes) {
    const int count = int(groups);
    return {task.outer * task.inner, count, count, 1, first, 0, 1, (count + lanes - 1) / lanes, true};
}

inline Tile make_tile(const Task& task, int64_t first, int64_t groups, int lanes) {
    groups = std::min(groups, task.groups - first);
    if (in_runs(task)) {
        const int64_t pieces = (task.inner + lanes - 1) / lanes;
        return {task.outer * pieces, int(groups * lanes), int(groups), lanes, first, pieces, 1, int(groups), false};
    }
    const int64_t period = groups * task.inner;
    int64_t packs = 1;
    if (groups == task.groups && period < narrow_row) packs = std::min(even(period, lanes), task.outer);
    const int width = int(packs * period);
    return {(task.outer + packs - 1) / packs, width, int(groups), int(task.inner), first, 0, packs,
            (width + lanes - 1) / lanes, false};
}

// Calls work(row, vector of the row, place in memory, entries) for every vector of the rows from..from+rows-1, in the
// order of memory. The last packed row, and the last piece of a run, may have fewer entries than lanes.
template <int lanes, class Work>
INLINE void each_vector(const Task& task, const Tile& tile, int64_t from, int64_t rows, Work work) {
    // Copies, which no store of `work` can change, stay in registers.
    const int64_t inner = task.inner, pieces = tile.pieces, first = tile.first, pitch = tile.packs * task.groups * inner;
    const int vectors = tile.vectors;
    if (pieces) {
        for (int v = 0; v < vectors; ++v) {
            int64_t piece = from % pieces, start = from / pieces * pitch + (first + v) * inner;
            for (int64_t row = 0; row < rows; ++row) {
                work(row, v, start + piece * lanes, int(std::min<int64_t>(inner - piece * lanes, lanes)));
                if (++piece == pieces) piece = 0, start += pitch;
            }
        }
        return;
    }
    const int64_t full = tile.width, size = task.outer * task.groups * inner;
    const bool packed = tile.packs > 1;
    int64_t start = from * pitch + first * inner;
    for (int64_t row = 0; row < rows; ++row, start += pitch) {
        const int64_t width = packed ? std::min(full, size - start) : full;
        for (int v = 0; v < vectors; ++v)
            work(row, v, start + v * lanes, int(std::clamp<int64_t>(width - v * lanes, 0, lanes)));
    }
}

// Where a run of entries of a group begins; groups are numbered through all blocks.
inline int64_t place_of(const Task& task, int64_t group, int64_t run) {
    return ((group / task.groups * task.outer + run) * task.groups + group % task.groups) * task.inner;
}

// Calls work(place in memory) for every entry of one group of the tile, in the order of memory.
template <class Work> inline void each_entry(const Task& task, int64_t group, Work work) {
    for (int64_t run = 0; run < task.outer; ++run)
        for (int64_t i = 0, at = place_of(task, group, run); i < task.inner; ++i) work(at + i);
}

// The place of an entry of a turned tile in the scratch, in the order of memory: along a run of `neighbours` groups, then
// along the next run of the same groups, then on to the next groups.
template <int lanes> class TurnedPlace {
    const int64_t rows, inner, neighbours;
    int64_t lane, end, row, i = 0;

  public:
    TurnedPlace(const Task& task, const Tile& tile, int64_t neighbours, int64_t group, int64_t run)
        : rows(tile.rows), inner(task.inner), neighbours(neighbours), lane(group),
          end(group + neighbours), row(run * task.inner) {}
    INLINE_MEMBER int64_t vector() const { return lane / lanes; }
    INLINE_MEMBER int64_t lane_of_vector() const { return lane % lanes; }
    INLINE_MEMBER int64_t entry() const { return (vector() * rows + row + i) * lanes + lane_of_vector(); }
    INLINE_MEMBER void advance() {
        if (++i < inner) return;
        i = 0;
        if (++lane < end) return;
        lane -= neighbours, row += inner;
        if (row == rows) lane = end, end += neighbours, row = 0;
    }
};

// Calls work(place in memory, entries, place in the scratch) for every vector of a turned tile, in the order of memory. It
// must advance the latter by as many entries.
template <int lanes, class Work> INLINE void each_turned_vector(const Task& task, const Tile& tile, Work work) {
    const auto walk = [&](int64_t group, int64_t neighbours, int64_t run, int64_t entries) INLINE_LAMBDA {
        TurnedPlace<lanes> place(task, tile, neighbours, group, run);
        const int64_t start = place_of(task, tile.first + group, run);
        for (int64_t e = 0; e < entries; e += lanes) work(start + e, int(std::min<int64_t>(lanes, entries - e)), place);
    };
    // Whole blocks lie in one piece.
    if (tile.first % task.groups == 0 && tile.groups % task.groups == 0)
        return walk(0, task.groups, 0, tile.groups * tile.rows);
    for (int64_t group = 0, neighbours; group < tile.groups; group += neighbours) {
        neighbours = std::min(tile.groups - group, task.groups - (tile.first + group) % task.groups);
        for (int64_t run = 0; run < task.outer; ++run) walk(group, neighbours, run, neighbours * task.inner);
    }
}
