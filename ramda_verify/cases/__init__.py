"""What checks are tried on: tensors, metrics, weights and steps, drawn or computed from a seed, and recorded steps."""
