"""Our optimizers against the released code of the paper, on the machine of whoever asks.

    python -m paper_checks.reference_comparison PATH [--steps N] [--seed N] [--out FILE]

PATH is a checkout of ismoptgroup/RAMDA. Its package is imported in a process of its own and nowhere else. Three claims:

1. RMDA and ProxSGD, float32, group LASSO on columns: the trajectories agree to float32 rounding.
2. RAMDA's subproblems: our residual of stationarity is at the rounding level of float32 everywhere.
3. The released inner solver (100 proximal gradient steps, early stop) leaves a residual at least 1000 times larger. In
   float64 it does, in every regime. In float32 rounding is a floor for both, and how far the released solver stays
   above it depends on the subproblem: every regime is shown, and what its early stop has to do with it.
"""

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ramda_verify.engine.worst import largest
from ramda_verify.output import machine
from ramda_verify.output.documents import Document, Number, to_json
from ramda_verify.output.writing import write_whole

REFERENCE = "ismoptgroup/RAMDA"
#: Two float32 programs that order their operations differently drift by a few eps a step.
TRAJECTORY_LIMIT_EPS = 100.0
#: Our residual relative to ||B||: a difference of numbers of that size, rounded in float32 (eps is 1.2e-7).
RESIDUAL_LIMIT = 1e-6
RATIO_GOAL = 1000.0


class Comparison(Document, frozen=True, kw_only=True):
    """What was compared, where, measurements and verdicts, schema 1; the first were written without a version."""

    schema: int = 1
    reference: dict[str, str | None]
    date: str
    machine: str
    versions: dict[str, str]
    steps: int
    seed: int
    verdicts: dict[str, bool]
    trajectories: dict[str, dict[str, Number]]
    ramda_subproblems_shipped: dict[str, Any]
    ramda_subproblems_float64: dict[str, Any]
    ramda_subproblems_early_stop_off: dict[str, Any]


def compare(reference_path: Path, steps: int = 100, seed: int = 0) -> dict[str, Any]:
    """Measure in a subprocess; returns plain data: what was compared, where, the measurements and the verdicts.

    Raises ValueError unless ``reference_path`` holds the released package and 1 <= steps, and RuntimeError with the
    end of the subprocess's messages where it fails.
    """
    path = Path(reference_path)
    if not (path / "Core" / "solvers.py").is_file():
        raise ValueError(f"reference_path must be a checkout of {REFERENCE} (Core/solvers.py in it), got {str(path)!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps!r}")
    # -B: no byte code is left in the checkout; -W ignore: its docstrings have invalid escapes.
    command = [sys.executable, "-B", "-W", "ignore", "-m", "paper_checks.reference_measurements"]
    done = subprocess.run(
        [*command, str(path.resolve()), str(steps), str(seed)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the comparison failed:\n{done.stderr[-2000:]}")
    measured = json.loads(done.stdout)
    return {
        "schema": Comparison.VERSION,
        "reference": {"repository": REFERENCE, "commit": _commit(path)},
        "date": datetime.date.today().isoformat(),
        "machine": f"{machine.processors()} cores CPU",
        "versions": machine.versions(("torch", "numpy")),
        "steps": steps,
        "seed": seed,
        "verdicts": verdicts(measured),
        **measured,
    }


def verdicts(measured: dict[str, Any]) -> dict[str, bool]:
    """Which claims the measurements bear out. The third is judged apart for each set of subproblems."""
    shipped = measured["ramda_subproblems_shipped"]
    ours = [summary["largest_residual_ours_over_size_of_B"] for summary in _summaries(shipped).values()]
    found = {
        "trajectories_agree_to_rounding": all(
            differences[key] <= TRAJECTORY_LIMIT_EPS
            for differences in measured["trajectories"].values()
            for key in ("same_gradients_eps", "closed_loop_eps")
        ),
        "our_residual_is_rounding": largest(ours) <= RESIDUAL_LIMIT,
    }
    for precision, residuals in (("float64", measured["ramda_subproblems_float64"]), ("float32", shipped)):
        for name, summary in _summaries(residuals).items():
            found[f"ratio_at_least_1000, {precision}: {name}"] = summary["ratio_of_medians"] >= RATIO_GOAL
    return found


def _summaries(residuals: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = {f"random, weight {weight}": summary for weight, summary in residuals["random_by_weight"].items()}
    return {"random, all": residuals["random_all"], **rows, "digits trajectory": residuals["digits_trajectory"]}


def _commit(path: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(path), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def show(result: dict[str, Any], console: Console) -> None:
    """Two tables and the verdicts."""
    table = Table(title=f"{result['steps']} steps, float32: largest relative difference in units of eps")
    for column in ("method", "same gradients", "each at its own iterate", "distance moved / initial norm"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, row in result["trajectories"].items():
        values = (row["same_gradients_eps"], row["closed_loop_eps"], row["moved"])
        table.add_row(name, *(f"{value:.2f}" for value in values))
    console.print(table)
    titles = {
        "float64": "in float64",
        "shipped": "in float32",
        "early_stop_off": "in float32 with its early stop off",
    }
    for key, title in titles.items():
        table = Table(title=f"RAMDA's subproblems: median stationarity residual, released solver {title}")
        for column in ("subproblems", "cases", "zero groups", "its steps", "released", "ours", "ratio"):
            table.add_column(column, justify="left" if column == "subproblems" else "right")
        for name, row in _summaries(result[f"ramda_subproblems_{key}"]).items():
            table.add_row(
                name,
                str(row["cases"]),
                f"{row['median_share_of_zero_groups']:.0%}",
                f"{row['median_reference_iterations']:.0f}",
                f"{row['median_residual_reference']:.1e}",
                f"{row['median_residual_ours']:.1e}",
                f"{row['ratio_of_medians']:.3g}",
            )
        console.print(table)
    for claim, holds in result["verdicts"].items():
        console.print(f"{'holds      ' if holds else 'falls short'}  {claim}", highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """0 where our side of the comparison holds (claims 1 and 2), 1 where it falls short, 2 on bad usage."""
    parser = argparse.ArgumentParser(prog="python -m paper_checks.reference_comparison", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", type=Path, help=f"a checkout of {REFERENCE}")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    given = parser.parse_args(arguments)
    try:
        result = compare(given.path, given.steps, given.seed)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    show(result, Console())
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(given.out, to_json(Comparison(**result), indent=2) + "\n")
    held = result["verdicts"]["trajectories_agree_to_rounding"] and result["verdicts"]["our_residual_is_rounding"]
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
