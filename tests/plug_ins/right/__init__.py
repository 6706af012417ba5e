"""Right regularizers, a family a file."""
