"""Wrong regularizers, a kind of mistake a file."""
