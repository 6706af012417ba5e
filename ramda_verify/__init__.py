"""The verifier: independent oracles, property checks, the runner, the report, the command line."""
