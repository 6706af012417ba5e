"""The dtypes and devices by which a regularizer may be tried, by name; without torch, for the command line."""

#: Dtypes that are compared with float64.
DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")
