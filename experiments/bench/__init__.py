"""The benchmarks: our step and our inner solvers against peers, in one process, as ratios with intervals."""
