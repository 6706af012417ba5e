"""Small changes of our own sources, one at a time, each of which a test must notice; see ``__main__``."""
