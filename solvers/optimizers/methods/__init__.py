"""The methods, one a file: formulas, defaults and the record from which kernels and checks derive."""
