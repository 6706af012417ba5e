"""Checks of the compiled steps: against plain torch, and against the subproblem that they solve."""
