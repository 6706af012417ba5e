// Tasks cut into units that threads take in turn.
#pragma once

#include <algorithm>
#include <vector>

#include "tile.h"

constexpr int64_t cached_entries = 1 << 15;                        // of B and of D that stay near a core
constexpr int64_t small_task = 1 << 16, close_entries = 1 << 12;   // where rows may be short: the whole task stays near
constexpr int64_t least_scratch = 1 << 18, most_scratch = 1 << 21; // entries of B and of D, a thread
constexpr int64_t unit_entries = 1 << 14;                          // what a thread takes at a time, at least

struct Plan {
    struct Part {
        Task task; // as the kernels see it
        Task* theirs;
        int64_t groups, blocks; // those of all blocks in one, where they are entries or their tiles are turned
        int64_t groups_a_tile, groups_a_unit;
        int64_t blocks_a_unit, units_a_block; // one of them is 1
        int64_t units;
        bool by_entries, turned;
    };
    std::vector<Part> parts;
    int64_t units = 0, entries = 0;
    // B and D of all threads' tiles together are no larger than the largest tensor, or small. What does not fit is
    // formed again in every pass.
    int64_t scratch_entries = 0;
    int64_t point_bytes; // an entry of the point

    Plan(Task* tasks, int64_t count, const Settings& settings, int threads, int lanes, int64_t point_bytes)
        : point_bytes(point_bytes) {
        int64_t largest = 0, wanted = 0;
        parts.reserve(count);
        for (Task* theirs = tasks; theirs < tasks + count; ++theirs) {
            theirs->kept = theirs->zero = 0;
            Task task = *theirs;
            const int64_t size = task.outer * task.inner, block = size * task.groups, all = block * task.blocks;
            if (all == 0) continue;
            if (task.groups == 1) task.inner = size, task.outer = 1;
            const bool by_entries = size == 1 || task.lam * task.weight == 0;
            int64_t tile = 1, unit = std::max<int64_t>(1, unit_entries / size), blocks_a_unit = 1;
            const bool turned = !by_entries && worth_turning(task) &&
                                (settings.scratch_entries == 0 || settings.scratch_entries >= size * lanes);
            if (by_entries) {
                task.groups = all, task.outer = task.inner = task.blocks = 1;
                unit = unit_entries;
            } else if (turned) {
                const int64_t held = settings.scratch_entries ? settings.scratch_entries : close_entries;
                tile = std::max<int64_t>(1, held / (size * lanes)) * lanes;
                if (tile > task.groups) tile = tile / task.groups * task.groups; // whole blocks, which lie in one piece
                unit = std::max<int64_t>(1, unit / tile) * tile;
                wanted = std::max(wanted, (tile + lanes - 1) / lanes * lanes * size);
            } else {
                tile = groups_a_tile(task, lanes, block <= small_task ? close_entries : cached_entries);
                unit = std::max<int64_t>(1, unit / tile) * tile;
                if (block < unit_entries) unit = task.groups, blocks_a_unit = std::min(task.blocks, unit_entries / block);
                const Tile first = make_tile(task, 0, tile, lanes);
                wanted = std::max(wanted, first.rows * first.vectors * lanes);
            }
            largest = std::max(largest, all);
            entries += all;
            const int64_t groups = turned ? task.groups * task.blocks : task.groups, blocks = turned ? 1 : task.blocks;
            const int64_t of_a_block = (groups + unit - 1) / unit;
            const int64_t of_all = (blocks + blocks_a_unit - 1) / blocks_a_unit * of_a_block;
            parts.push_back({task, theirs, groups, blocks, tile, unit, blocks_a_unit, of_a_block, of_all, by_entries, turned});
            units += of_all;
        }
        const int64_t allowed = std::min(most_scratch, largest / 2 / threads / lanes * lanes);
        scratch_entries = std::min(wanted, settings.scratch_entries ? settings.scratch_entries : std::max(least_scratch, allowed));
    }
};
