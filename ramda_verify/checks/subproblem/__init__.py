"""Checks of what is solved with a regularizer: the solution, the certificate, the statuses, batches."""
