"""What each kind of verdict means, weakest first, in the words of the reports and of the README."""

LEGEND = {
    "sampled": "No fault at the cases that were tried, in float64 and narrower. Verdict: pass.",
    "certified": (
        "A residual or a gap that is recomputed outside the solver bounds the distance from the exact solution, up to "
        "the rounding of float64. Verdict: pass."
    ),
    "enclosed": (
        "The bound is computed in intervals that hold the exact numbers (ball arithmetic): for this point of this "
        "problem it is a theorem, rounding included. Verdict: pass, with the number of cases that were enclosed."
    ),
    "proved": "For all real inputs, steps and parameters, in exact arithmetic, by a solver for formulas.",
}
