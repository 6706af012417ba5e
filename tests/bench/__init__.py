"""Tests of the benchmarks; no assertion is about a time."""
