// The steps of the optimizers on the CPU: one pass over memory, every group solved to rounding while it is in the cache.
// Plain C in and out; compiled once per instruction set, see setup.py.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "entries.h"
#include "groups.h"

template <class R> struct ProxGenPlain : ProxGen<R, false> {
    using ProxGen<R, false>::ProxGen;
};
template <class R> struct ProxGenAmsgrad : ProxGen<R, true> {
    using ProxGen<R, true>::ProxGen;
};

namespace {

constexpr int64_t cached_entries = 1 << 17;              // of B and of D that stay near a core, rows of memory being long
constexpr int64_t small_task = 1 << 16, close_entries = 1 << 12; // where rows may be short: the whole task stays near
constexpr int64_t least_scratch = 1 << 18, most_scratch = 1 << 21; // entries of B and of D, a thread
constexpr int64_t unit_entries = 1 << 14;                // what a thread takes at a time

// Tasks cut into units that threads take in turn.
struct Plan {
    struct Part {
        Task task; // as the kernels see it
        int64_t* kept;
        int64_t groups_a_tile, groups_a_unit, units;
    };
    std::vector<Part> parts;
    int64_t units = 0;
    // B and D of all threads' tiles together are no larger than the largest tensor, or small. What does not fit is
    // formed again in every pass.
    int64_t scratch_entries = 0;

    Plan(Task* tasks, int64_t count, int threads, int lanes) {
        int64_t largest = 0, wanted = 0;
        for (Task* theirs = tasks; theirs < tasks + count; ++theirs) {
            theirs->kept = 0;
            Task task = *theirs;
            const int64_t size = task.outer * task.inner;
            if (size == 0 || task.groups == 0) continue;
            if (task.groups == 1) task.inner = size, task.outer = 1;
            int64_t tile = 1, unit = std::max<int64_t>(1, unit_entries / size);
            if (by_entries(task)) {
                task.groups *= size, task.outer = task.inner = 1;
                unit = unit_entries;
            } else {
                const bool small = size * task.groups <= small_task;
                tile = groups_a_tile(task, lanes, small ? close_entries : cached_entries);
                unit = std::max<int64_t>(1, unit / tile) * tile;
                wanted = std::max(wanted, entries_of(make_tile(task, 0, tile, lanes), lanes));
            }
            largest = std::max(largest, task.outer * task.groups * task.inner);
            parts.push_back({task, &theirs->kept, tile, unit, (task.groups + unit - 1) / unit});
            units += parts.back().units;
        }
        const int64_t allowed = std::min(most_scratch, largest / 2 / threads / lanes * lanes);
        scratch_entries = std::min(wanted, std::max(least_scratch, allowed));
    }

    static bool by_entries(const Task& task) {
        return task.outer * task.inner == 1 || task.lam * task.weight == 0;
    }
};

// The units of a plan, dealt out in ranges: a thread takes those of its own range first, which lie in its caches from the
// last step, and then what the others have left.
class Shares {
    struct alignas(64) Range {
        std::atomic<int64_t> next;
        int64_t end;
    };
    std::vector<Range> ranges;

  public:
    Shares(int64_t units, int threads) : ranges(threads) {
        for (int i = 0; i < threads; ++i) {
            ranges[i].next = units * i / threads;
            ranges[i].end = units * (i + 1) / threads;
        }
    }
    // Calls `work` with units until none is left.
    template <class Work> void take(int thread, Work work) {
        for (size_t i = 0; i < ranges.size(); ++i) {
            Range& range = ranges[(thread + i) % ranges.size()];
            for (int64_t unit; (unit = range.next++) < range.end;) work(unit);
        }
    }
};

template <class P, class R, template <class> class Recurrence>
void work(const Plan& plan, Shares& shares, int thread) {
    constexpr int lanes = Simd<R>::lanes;
    auto* scratch = static_cast<Vec<R>*>(std::aligned_alloc(64, 2 * plan.scratch_entries * sizeof(R) + 64));
    shares.take(thread, [&](int64_t unit) {
        auto part = plan.parts.begin();
        while (unit >= part->units) unit -= (part++)->units;
        const Task& task = part->task;
        const int64_t begin = unit * part->groups_a_unit, end = std::min(task.groups, begin + part->groups_a_unit);
        int64_t kept = 0;
        if (Plan::by_entries(task)) {
            kept = solve_entries<P, R>(Walk<P, R, Recurrence<R>>(task), begin, end);
        } else {
            GroupSolver<P, R, Recurrence> solver(task, scratch, plan.scratch_entries);
            for (int64_t group = begin; group < end; group += part->groups_a_tile)
                kept += solver.solve(make_tile(task, group, std::min(part->groups_a_tile, end - group), lanes));
        }
        if (kept) __atomic_fetch_add(part->kept, kept, __ATOMIC_RELAXED);
    });
    std::free(scratch);
}

// How work is spread over threads. `team` and `number` are libgomp's GOMP_parallel and omp_get_thread_num, with which
// torch's own threads do it: threads of ours would have to share the cores with those, which wait for their next task by
// spinning, and would not find in their caches what they left there.
struct Threads {
    typedef void (*Team)(void (*work)(void*), void* data, unsigned threads, unsigned flags);
    typedef int (*Number)();
    int count;
    Team team;
    Number number;

    // Calls work(thread) on each of `useful` threads.
    template <class Work> void run(int useful, Work work) const {
        if (useful <= 1) return work(0);
        if (team && number) {
            struct Both {
                Work& work;
                Number number;
            } both{work, number};
            return team([](void* data) { static_cast<Both*>(data)->work(static_cast<Both*>(data)->number()); }, &both,
                        unsigned(useful), 0);
        }
        std::vector<std::thread> others;
        for (int i = 1; i < useful; ++i) others.emplace_back(work, i);
        work(0);
        for (auto& other : others) other.join();
    }
};

template <class P, class R, template <class> class Recurrence>
int run(Task* tasks, int64_t count, const Threads& threads) {
    const Plan plan(tasks, count, threads.count, Simd<R>::lanes);
    const int useful = int(std::min<int64_t>(threads.count, plan.units));
    Shares shares(plan.units, std::max(useful, 1));
    threads.run(useful, [&plan, &shares](int thread) { work<P, R, Recurrence>(plan, shares, thread); });
    return 0;
}

template <class P, class R> int dispatch(Task* tasks, int64_t count, int recurrence, const Threads& threads) {
    switch (recurrence) {
    case 0: return run<P, R, Ramda>(tasks, count, threads);
    case 1: return run<P, R, Rmda>(tasks, count, threads);
    case 2: return run<P, R, ProxSgd>(tasks, count, threads);
    case 3: return run<P, R, ProxGenPlain>(tasks, count, threads);
    case 4: return run<P, R, ProxGenAmsgrad>(tasks, count, threads);
    case 5: return run<P, R, Subproblem>(tasks, count, threads);
    }
    return 1;
}

} // namespace

// dtype: of the points and gradients, 0 float32, 1 float64, 2 bfloat16. team, number: see Threads; null to start threads
// for this call. Returns 0, or 1 for a number that it does not know.
extern "C" __attribute__((visibility("default"))) int ramda_verify_step(Task* tasks, int64_t count, int recurrence,
                                                                         int dtype, int thread_count,
                                                                         Threads::Team team, Threads::Number number) {
    const Threads threads{thread_count, team, number};
    switch (dtype) {
    case 0: return dispatch<float, float>(tasks, count, recurrence, threads);
    case 1: return dispatch<double, double>(tasks, count, recurrence, threads);
    case 2: return dispatch<bfloat16, float>(tasks, count, recurrence, threads);
    }
    return 1;
}

// So that the caller can tell that both sides mean the same structure.
extern "C" __attribute__((visibility("default"))) int64_t ramda_verify_task_size() { return sizeof(Task); }
