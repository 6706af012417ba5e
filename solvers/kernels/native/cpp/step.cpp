// The steps of the optimizers on the CPU: one pass over memory, every group solved to rounding while it is in the cache.
// Plain C in and out; compiled once per instruction set, see setup.py.

#include <algorithm>

#include "entries.h"
#include "finite.h"
#include "groups.h"
#include "plan.h"
#include "threads.h"

namespace {

constexpr int64_t entries_a_thread = 1 << 14; // fewer are not worth waking a thread for
constexpr int64_t kept_scratch = 1 << 16;     // entries of B and of D that a thread keeps from one call to the next

template <class R> struct ProxGenPlain : ProxGen<R, false> {
    using ProxGen<R, false>::ProxGen;
};
template <class R> struct ProxGenAmsgrad : ProxGen<R, true> {
    using ProxGen<R, true>::ProxGen;
};

// All that depends on the method.
template <class R> struct Kernel {
    Counts (*entries)(const Task&, int64_t begin, int64_t end);
    Passes<R> groups;
};

template <class P, class R, template <class> class Recurrence>
constexpr Kernel<R> kernel{solve_entries<P, R, Recurrence<R>>, PassesOf<P, R, Recurrence>::all_of_them};

// The recurrences by their numbers.
constexpr const char* names[] = {"ramda", "rmda", "proxsgd", "proxgen", "proxgen_amsgrad", "subproblem"};
template <class P, class R>
constexpr const Kernel<R>* kernels[] = {&kernel<P, R, Ramda>,        &kernel<P, R, Rmda>,           &kernel<P, R, ProxSgd>,
                                        &kernel<P, R, ProxGenPlain>, &kernel<P, R, ProxGenAmsgrad>, &kernel<P, R, Subproblem>};

template <class R> void work(const Plan& plan, const Kernel<R>& kernel, const Settings& settings, Shares& shares, int thread) {
    thread_local GroupSolver<R> solver;
    solver.begin(settings, plan.scratch_entries);
    shares.take(thread, [&](int64_t unit) {
        auto part = plan.parts.begin();
        while (unit >= part->units) unit -= (part++)->units;
        const Task& all = part->task;
        const int64_t begin = unit % part->units_a_block * part->groups_a_unit;
        const int64_t end = std::min(part->groups, begin + part->groups_a_unit);
        const int64_t first = unit / part->units_a_block * part->blocks_a_unit;
        const int64_t last = std::min(part->blocks, first + part->blocks_a_unit);
        Counts counts = {};
        if (part->by_entries) counts = kernel.entries(all, begin, end);
        else
            for (int64_t block = first; block < last; ++block) {
                const Task task = block_of(all, block, plan.point_bytes, sizeof(R));
                for (int64_t group = begin; group < end; group += part->groups_a_tile) {
                    const int64_t groups = std::min(part->groups_a_tile, end - group);
                    const Tile tile = (part->turned ? make_turned_tile : make_tile)(task, group, groups, Simd<R>::lanes);
                    const Counts more = solver.solve(task, kernel.groups, tile);
                    counts.kept += more.kept, counts.zero += more.zero;
                }
            }
        if (counts.kept) __atomic_fetch_add(&part->theirs->kept, counts.kept, __ATOMIC_RELAXED);
        if (counts.zero) __atomic_fetch_add(&part->theirs->zero, counts.zero, __ATOMIC_RELAXED);
    });
    solver.end(kept_scratch);
}

int useful_threads(const Threads& threads, int64_t units, int64_t entries) {
    return int(std::max<int64_t>(1, std::min({int64_t(threads.count), units, entries / entries_a_thread})));
}

template <class P, class R>
int run(Task* tasks, int64_t count, int recurrence, const Settings& settings, const Threads& threads) {
    if (recurrence < 0 || recurrence >= int(sizeof kernels<P, R> / sizeof kernels<P, R>[0])) return 1;
    const Plan plan(tasks, count, settings, threads.count, Simd<R>::lanes, sizeof(P));
    const int useful = useful_threads(threads, plan.units, plan.entries);
    Shares shares(plan.units, useful);
    threads.run(useful, [&](int thread) { work<R>(plan, *kernels<P, R>[recurrence], settings, shares, thread); });
    return 0;
}

} // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// dtype: of the points and gradients, 0 float32, 1 float64, 2 bfloat16. team, number: see Threads. Returns 0, or 1 for a
// number that it does not know.
EXPORTED int ramda_verify_step(Task* tasks, int64_t count, int recurrence, int dtype, const Settings* settings,
                               int thread_count, Threads::Team team, Threads::Number number) {
    const Threads threads{thread_count, team, number};
    switch (dtype) {
    case 0: return run<float, float>(tasks, count, recurrence, *settings, threads);
    case 1: return run<double, double>(tasks, count, recurrence, *settings, threads);
    case 2: return run<bfloat16, float>(tasks, count, recurrence, *settings, threads);
    }
    return 1;
}

// Sets `finite` of every one of `count` arrays of the dtype, see finite.h.
EXPORTED int ramda_verify_finite(Numbers* arrays, int64_t count, int dtype, int thread_count, Threads::Team team,
                                 Threads::Number number) {
    const Threads threads{thread_count, team, number};
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) arrays[i].finite = 1, total += arrays[i].count;
    const int64_t unit = 1 << 15, units = (total + unit - 1) / unit;
    const int useful = useful_threads(threads, units, total / 4);
    Shares shares(units, useful);
    threads.run(useful, [&](int thread) {
        shares.take(thread, [&](int64_t which) {
            // The unit's entries in the arrays one after the other.
            int64_t from = which * unit, left = std::min(unit, total - from);
            Numbers* array = arrays;
            while (from >= array->count) from -= (array++)->count;
            for (; left > 0; ++array, from = 0) {
                const int64_t here = std::min(left, array->count - from);
                if (!all_finite(array->first, from, here, dtype)) __atomic_store_n(&array->finite, 0, __ATOMIC_RELAXED);
                left -= here;
            }
        });
    });
    return 0;
}

// The name of a recurrence by its number; null past the last one.
EXPORTED const char* ramda_verify_recurrence(int number) {
    return number >= 0 && number < int(sizeof names / sizeof names[0]) ? names[number] : nullptr;
}

// So that the caller can tell that both sides mean the same structures.
EXPORTED int64_t ramda_verify_sizes(int which) {
    const int64_t sizes[] = {sizeof(Task), sizeof(Settings), sizeof(Numbers)};
    return which >= 0 && which < 3 ? sizes[which] : 0;
}
