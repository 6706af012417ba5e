// Walking through one task: loads the tensors, updates the state, gives B and D, writes Ŵ or its average.
#pragma once

#include "recurrences.h"

extern "C" struct Task {
    void* point;
    void* structured;     // null: Ŵ is not wanted
    const void* gradient; // null: the state stays as it is
    void* state[3];
    int64_t outer, groups, inner, blocks; // of every block, of which one follows the other in memory
    int64_t kept; // groups that got Ŵ = point
    int64_t zero; // groups whose Ŵ psi has set to zero
    double weight, entry_weight, flush, lam, mix;
    double k[7];
    int64_t averages; // 0: the point stays as it is
};

// How the norm equation is solved, see solvers/regularizers/norm_equation.py, and how much is held at a time.
extern "C" struct Settings {
    int64_t max_iterations;
    double tight, loose, margin, least_price;
    int64_t scratch_entries; // of B and of D that a thread holds at most; 0: as the tensors suggest
};

// One block of a task as a task, from the sizes of an entry of the point and of the state in bytes.
inline Task block_of(Task task, int64_t block, int64_t point_bytes, int64_t state_bytes) {
    const int64_t entries = block * task.outer * task.groups * task.inner;
    task.point = (char*)task.point + entries * point_bytes;
    if (task.gradient) task.gradient = (const char*)task.gradient + entries * point_bytes;
    if (task.structured) task.structured = (char*)task.structured + entries * state_bytes;
    for (void*& state : task.state)
        if (state) state = (char*)state + entries * state_bytes;
    task.blocks = 1;
    return task;
}

template <class P, class R, class Recurrence> struct Walk {
    using V = Vec<R>;
    using M = Mask<R>;
    static constexpr int lanes = Simd<R>::lanes;

    const Task& task;
    const Recurrence recurrence;
    P* point;
    const P* gradient;
    R *structured, *state[3];
    const R mix, flush;

    explicit Walk(const Task& task)
        : task(task), recurrence(task.k), point((P*)task.point), gradient((const P*)task.gradient),
          structured((R*)task.structured), state{(R*)task.state[0], (R*)task.state[1], (R*)task.state[2]}, mix(task.mix),
          flush(task.flush) {}

    // B and D of the entries at..at+count-1; with `first` the gradient enters the state before.
    INLINE_MEMBER void form(int64_t at, int count, bool first, V& b, V& d) const {
        V x[3];
        for (int i = 0; i < Recurrence::states; ++i) x[i] = load<R>(state[i] + at, count);
        if (first && gradient) {
            recurrence.update(load<R>(gradient + at, count), x);
            for (int i = 0; i < Recurrence::states; ++i)
                if (Recurrence::writes >> i & 1) store<R>(state[i] + at, x[i], count);
        }
        V w = {};
        if constexpr (Recurrence::from_point) w = load<R>(point + at, count);
        recurrence.form(w, x, b, d);
    }

    // Ask for what `form` and `write` will read at `at`; the address need not exist.
    INLINE_MEMBER void expect(int64_t at, bool first) const {
        for (int i = 0; i < Recurrence::states; ++i) __builtin_prefetch(state[i] + at);
        if (first && gradient) __builtin_prefetch(gradient + at);
        if (Recurrence::from_point) __builtin_prefetch(point + at);
    }

    // Write Ŵ = z and its average; lanes of which Ŵ is the point, those that are not `good`, keep it bit for bit.
    INLINE_MEMBER void write(int64_t at, int count, V z, M good, bool all_good) const {
        V w = {};
        if (mix != 1 || !all_good) w = load<R>(point + at, count);
        if (structured) store<R>(structured + at, all_good ? z : (good ? z : w), count);
        if (!task.averages) return;
        if (mix != 1) z = (1 - mix) * w + mix * z;
        z = magnitude<R>(z) <= flush ? V{} : z; // in this order a NaN stays
        store<R>(point + at, all_good ? z : (good ? z : w), count);
    }
};
