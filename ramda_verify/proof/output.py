"""Proofs as a table in a terminal and as a Markdown file."""

import platform
import textwrap
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ramda_verify.output import machine
from ramda_verify.output.writing import write_whole
from ramda_verify.proof.verdict import LIMITS, MEANINGS, Proof, ProofVerdict

STYLES = {
    ProofVerdict.PROVED: "green",
    ProofVerdict.REFUTED: "bold red",
    ProofVerdict.UNDECIDED: "yellow",
    ProofVerdict.NOT_PROVABLE: "yellow",
    ProofVerdict.OUTSIDE: "dim",
}
HEADINGS = ("name", "verdict", "about", "parameters", "seconds")


def _short(proof: Proof) -> str:
    """The name without the module or file that it is in."""
    return proof.name.rpartition(":")[2]


def show_proofs(console: Console, proofs: Sequence[Proof]) -> None:
    """The table, then every counterexample and every reason why there is no proof."""
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold", justify="right" if heading == "seconds" else "left")
    for proof in proofs:
        verdict = f"[{STYLES[proof.verdict]}]{proof.verdict}[/]"
        table.add_row(_short(proof), verdict, proof.subject, proof.parameters, f"{proof.seconds:.1f}")
    console.print(table)
    for proof in proofs:
        if proof.detail:
            console.print(f"{proof.name}: {proof.verdict}: {proof.detail}", markup=False, highlight=False)
        if proof.counterexample is not None:
            words = ", ".join(f"{name} = {value:.9g}" for name, value in proof.counterexample.values.items())
            console.print(
                f"{proof.name}: refuted at {words}: {proof.counterexample.note}", markup=False, highlight=False
            )
            # Unwrapped, to be copied as it is: a terminal folds a long line without breaking it.
            console.print(proof.counterexample.snippet, markup=False, highlight=False, soft_wrap=True)
    for verdict in {proof.verdict: None for proof in proofs}:
        console.print(f"{verdict}: {MEANINGS[verdict]}.", style="dim", highlight=False)
    console.print(LIMITS, style="dim", highlight=False)


def write_proofs(path: Path, proofs: Sequence[Proof]) -> None:
    """The table with the machine, the versions and the date, as Markdown; whole or not at all. Raises OSError."""
    versions = ", ".join(f"{name} {machine.version_of(name)}" for name in ("torch", "z3-solver"))
    on = f"{machine.processors()} cores ({machine.processor()}), Python {platform.python_version()}"
    made = f"{date.today()}, {on}, {versions}."
    rows = [
        (_short(proof), str(proof.verdict), proof.subject, proof.parameters, f"{proof.seconds:.2f}") for proof in proofs
    ]
    text = "\n".join(
        [
            "# Proofs of the regularizers",
            "",
            *textwrap.wrap(
                f"Made by `ramda-verify prove [TARGET ...] --report FILE`; {made} "
                "Seconds are those of one run, with the tracing.",
                119,
            ),
            "",
            *(f"| {' | '.join(cells)} |" for cells in (HEADINGS, ("---",) * len(HEADINGS), *rows)),
            "",
            *(f"- {verdict}: {MEANINGS[verdict]}." for verdict in ProofVerdict),
            "",
            *textwrap.wrap(LIMITS, 119),
            "",
            *(f"{proof.name}: {proof.detail}." for proof in proofs if proof.detail),
        ]
    )
    write_whole(path, text.rstrip() + "\n")
