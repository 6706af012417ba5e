"""Checks of the optimizers: the steps of the papers, accepted steps, saving and continuing."""
