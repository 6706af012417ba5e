"""Independent truth: numpy, scipy, mpmath and CVXPY only; nothing here imports what it judges."""
