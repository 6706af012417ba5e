"""A table of finished MNIST runs beside the certified optimum and the paper's Table 7, as Markdown and JSON.

python -m experiments.summary runs/* --out experiments/results
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.plots import Curve, draw, read_curves, save
from experiments.settings import DISPLAY_NAMES
from ramda_verify.output.documents import Document, to_json
from ramda_verify.output.writing import write_whole

#: Table 7 of the paper, one run each from an unseeded default initialisation: accuracy and zero groups in percent.
PAPER = {"ramda": (91.35, 57.40), "rmda": (91.34, 57.02), "proxsgd": (91.31, 39.29), "proxgen": (91.31, 39.92)}

#: How many of the groups that differ are named, those that the optimum decides most narrowly.
NAMED = 5

Row = dict[str, Any]


class Comparison(Document, frozen=True, kw_only=True):
    """The table as a document, schema 1; the first of them were written without a version."""

    schema: int = 1
    date: str
    machine: str
    versions: dict[str, str]
    certified: Row
    runs: list[Row]


def summarise(curve: Curve) -> Row:
    """One run: its end, and how many groups differed from the optimum's at the end of each stage."""
    result, log = curve.result, curve.log
    epochs = result["settings"]["epochs"]
    at = {entry["epoch"]: entry["differing_groups"] for entry in log}
    last = [entry for entry in log if entry["epoch"] > epochs - 50]
    paper = PAPER[result["optimizer"]]
    differing = sorted(result["differing_groups"], key=lambda group: group["certified_margin"])
    return {
        "optimizer": DISPLAY_NAMES[result["optimizer"]],
        "seed": result["seed"],
        "test_accuracy": result["test_accuracy"],
        "paper_accuracy": paper[0],
        "zero_percent": round(100 * result["zero_groups"] / result["groups"], 2),
        "paper_zero_percent": paper[1],
        "zero_percent_in_last_50_epochs": [
            round(100 - 100 * max(entry["support_size"] for entry in last) / result["groups"], 2),
            round(100 - 100 * min(entry["support_size"] for entry in last) / result["groups"], 2),
        ],
        "differing_by_epoch": {epoch: at[epoch] for epoch in (*result["settings"]["milestones"], epochs)},
        "most_differing_in_last_50_epochs": max(entry["differing_groups"] for entry in last),
        "accuracy_in_last_50_epochs": [
            min(entry["test_accuracy"] for entry in last),
            max(entry["test_accuracy"] for entry in last),
        ],
        "differing_groups": len(differing),
        "narrowest_differing_groups": differing[:NAMED],
        "steps": result["steps"],
        "support_stable_from_step": result["support_stable_from_step"],
        "identified_from_step": result["identified_from_step"],
        "objective_gap": result["objective_gap"],
        "stationarity": result["stationarity"],
        "seconds": round(result["seconds"]),
        "processor_seconds": round(result["processor_seconds"]) if "processor_seconds" in result else None,
        "settings": result["settings"],
    }


def markdown(rows: Sequence[Row], certified: Row, groups: int, origin: Row) -> str:
    """The table, with what it says about the optimum above it."""
    zero = certified["zero_groups"]
    milestones = list(rows[0]["differing_by_epoch"])
    header = [
        "optimizer, seed",
        "accuracy % (paper)",
        "zero groups % (paper)",
        "its range, last 50 epochs",
        f"groups that differ after epoch {' / '.join(map(str, milestones))}",
        "most in the last 50 epochs",
        "which at the end: group (margin)",
        "support unchanged from step",
        "certified support from step",
        "objective gap",
        "wall (CPU) s",
    ]
    lines = [
        "# MNIST, multinomial logistic regression with a group LASSO on the pixels",
        "",
        f"{origin['date']}, {origin['machine']}; " + ", ".join(f"{k} {v}" for k, v in origin["versions"].items()) + ".",
        "Made by `python -m experiments.summary`. All numbers are of Ŵ, the structured iterate.",
        "",
        f"Certified optimum: F = {certified['objective']:.10f}, residual {certified['residual']:.1e}, "
        f"**{zero} of {groups} groups zero ({100 * zero / groups:.2f} %)**, test accuracy "
        f"{certified['test_accuracy']:.2f} %, smallest relative distance of a zero group from becoming nonzero "
        f"{certified['smallest_zero_margin']:.1e}, smallest norm of a nonzero group "
        f"{certified['smallest_nonzero_norm']:.1e}. The paper's RAMDA: 57.40 % zero, 91.35 % accuracy.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for row in rows:
        processor = "not measured" if row["processor_seconds"] is None else row["processor_seconds"]
        cells = [
            f"{row['optimizer']}, {row['seed']}",
            f"{row['test_accuracy']:.2f} ({row['paper_accuracy']:.2f})",
            f"{row['zero_percent']:.2f} ({row['paper_zero_percent']:.2f})",
            "{:.2f} to {:.2f}".format(*row["zero_percent_in_last_50_epochs"]),
            " / ".join(str(count) for count in row["differing_by_epoch"].values()),
            row["most_differing_in_last_50_epochs"],
            _named(row["narrowest_differing_groups"], row["differing_groups"]),
            f"{row['support_stable_from_step']} of {row['steps']}",
            "never" if row["identified_from_step"] is None else row["identified_from_step"],
            f"{row['objective_gap']:.1e}",
            f"{row['seconds']} ({processor})",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _named(narrowest: list[Row], count: int) -> str:
    named = ", ".join(f"{group['index']} ({group['certified_margin']:.1e})" for group in narrowest)
    return f"{named}, and {count - len(narrowest)} more" if count > len(narrowest) else named or "none"


def main(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs of one task.")],
    out: Annotated[Path, typer.Option(help="Folder for the table and the figure.")],
    name: Annotated[str, typer.Option(help="File name without its ending.")] = "mnist-logistic",
    note: Annotated[str, typer.Option(help="A sentence to go with the table.")] = "",
) -> None:
    """Write NAME.md, NAME.json and NAME.png."""
    try:
        curves = read_curves(runs)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    first = curves[0].result
    machine = f"{first['machine']['cores']} cores CPU ({first['machine']['processor']}), 1 thread a run"
    origin = {"date": datetime.now(UTC).date().isoformat(), "machine": machine, "versions": first["versions"]}
    rows = [summarise(curve) for curve in curves]
    certified = {key: value for key, value in first["certified"].items() if key != "support"}
    out.mkdir(parents=True, exist_ok=True)
    document = Comparison(**origin, certified=certified, runs=rows)
    write_whole(out / f"{name}.json", to_json(document, indent=2) + "\n")
    table = markdown(rows, certified, first["groups"], origin)
    write_whole(out / f"{name}.md", f"{table}\n{note}\n" if note else table)
    # One run of each optimizer: more seeds of one method would hide the differences between the methods.
    drawn = {curve.result["optimizer"]: curve for curve in reversed(curves)}
    save(
        draw([curve for curve in curves if drawn[curve.result["optimizer"]] is curve]),
        out,
        name,
        endings=("png",),
        dpi=120,
    )


if __name__ == "__main__":
    typer.run(main)
