"""The verifier itself: targets, engine, strategies, suite, command line."""
