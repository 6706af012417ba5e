"""The compiled CPU steps, built once per instruction set; everything else stands in pyproject.toml.

A build that the compiler at hand cannot make is left out (``optional``), and plain torch steps in its place. The builds
are compiled at the same time, about eight seconds of work each.
"""

from glob import glob

from setuptools import Extension, setup

COMPILE = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-Wno-psabi"]
BUILDS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
}

setup(
    options={"build_ext": {"parallel": len(BUILDS)}},
    ext_modules=[
        Extension(
            f"solvers.kernels.native._step_{build}",
            [f"solvers/kernels/native/cpp/builds/{build}.cpp"],
            depends=sorted(glob("solvers/kernels/native/cpp/*.*")),
            extra_compile_args=[*COMPILE, *flags],
            extra_link_args=["-pthread"],
            optional=True,
        )
        for build, flags in BUILDS.items()
    ],
)
