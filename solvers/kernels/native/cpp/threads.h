// How work is spread over threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

// `team` and `number` are libgomp's GOMP_parallel and omp_get_thread_num, with which torch's own threads do it: threads
// of ours would have to share the cores with those, which wait for their next task by spinning, and would not find in
// their caches what they left there. Null to start threads for this call.
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

// Units of work, dealt out in ranges: a thread takes those of its own range first, which lie in its caches from the last
// step, and then what the others have left.
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
