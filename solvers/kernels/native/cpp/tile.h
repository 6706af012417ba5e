// Which groups are solved together, and where their entries lie.
#pragma once

#include <algorithm>

#include "tensors.h"

// The entries of some groups as rows of `width` lanes, each of which belongs to one group.
struct Tile {
    int64_t rows;
    int width, groups;
    int lanes_a_group; // neighbours that belong to one group, before the next group's
    int64_t first;     // the first group
    int64_t pieces;    // rows that a run of `inner` entries is cut into: one group's; 0: groups lie side by side
    int64_t packs;     // times that the groups follow each other in a row: the whole tensor then lies in one piece
};

// The rows of a tile in turn: where each starts in memory, and how many entries it has.
struct Rows {
    const Task& task;
    const Tile& tile;
    int64_t outer, piece, at;
    int count;

    Rows(const Task& task, const Tile& tile, int64_t row)
        : task(task), tile(tile), outer(tile.pieces ? row / tile.pieces : row), piece(tile.pieces ? row % tile.pieces : 0) {
        place();
    }
    INLINE_MEMBER void place() {
        at = (outer * tile.packs * task.groups + tile.first) * task.inner + piece * tile.width;
        count = tile.width;
        if (tile.pieces) count = int(std::min<int64_t>(count, task.inner - piece * tile.width));
        if (tile.packs > 1) count = int(std::min<int64_t>(count, task.outer * task.groups * task.inner - at));
    }
    INLINE_MEMBER void next() {
        if (++piece >= tile.pieces) piece = 0, ++outer;
        place();
    }
};

constexpr int64_t row_entries = 512; // of a tile, at most
constexpr int64_t narrow_row = 64;   // entries around which rows are packed or groups taken one by one

// Groups with long runs are taken one by one, others side by side.
inline bool one_by_one(const Task& task) { return 2 * task.inner >= narrow_row || task.groups == 1; }

// The fewest repetitions of `entries` that fill whole vectors.
inline int64_t even(int64_t entries, int lanes) {
    int64_t times = 1;
    while (times * entries % lanes) times *= 2;
    return times;
}

// How many groups a tile has: enough for full vectors and, if that many entries may be kept, for long rows.
inline int64_t groups_a_tile(const Task& task, int lanes, int64_t entries) {
    if (one_by_one(task)) return 1;
    const int64_t step = even(task.inner, lanes), wanted = std::min(row_entries, entries / task.outer);
    return std::min(task.groups, std::max<int64_t>(1, wanted / (step * task.inner)) * step);
}

inline Tile make_tile(const Task& task, int64_t first, int64_t groups, int lanes) {
    if (one_by_one(task)) {
        const int64_t pieces = (task.inner + lanes - 1) / lanes;
        return {task.outer * pieces, lanes, 1, lanes, first, pieces, 1};
    }
    groups = std::min(groups, task.groups - first);
    const int64_t period = groups * task.inner;
    int64_t packs = 1;
    if (groups == task.groups && period < narrow_row) packs = std::min(even(period, lanes), task.outer);
    return {(task.outer + packs - 1) / packs, int(packs * period), int(groups), int(task.inner), first, 0, packs};
}

// Entries of a scratch that holds the whole tile.
inline int64_t entries_of(const Tile& tile, int lanes) { return tile.rows * ((tile.width + lanes - 1) / lanes) * lanes; }
