"""Tests of the core, the verifier, the experiments and the claims."""
