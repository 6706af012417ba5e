"""The command ``ramda-verify prove``."""

from pathlib import Path
from typing import Annotated

import typer

from ramda_verify.commands.options import UsageError, need, not_written
from ramda_verify.output.writing import why_unwritable


def prove(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]...",
            help="package.module:Name or path/file.py:Name, a class or an instance, or the name of a registered "
            "regularizer; all of these if there is none.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for the solver on each target.")] = 20.0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table as Markdown, too.", show_default=False)
    ] = None,
) -> None:
    """Prove that a prox minimises for all inputs, all steps and all parameters, or find where it does not.

    prox and value are read as arithmetic, and an SMT solver looks for w, step, parameters in their range and z with a
    lower step*psi(z) + 1/2 (z - w)^2 than the prox. This is possible where psi is a sum over entries or a function of
    the norm of a group; other regularizers are reported as "outside".

    Exit codes: 0 if every TARGET is proved (without TARGET: proved or outside), 1 otherwise, so that no proof is never
    a pass; 2 bad usage.
    """
    if report is not None:
        reason = why_unwritable(report.parent, (report.name,)) if report.parent.is_dir() else "there is no such folder"
        if reason is not None:
            raise UsageError(f"--report {report} cannot be written: {reason}")
    need("prove", "verify")

    from rich.console import Console

    from ramda_verify.engine.plug_in_path import look_in
    from ramda_verify.engine.targets import TargetError, known_regularizers, known_target, regularizer_target
    from ramda_verify.proof.output import show_proofs, write_proofs
    from ramda_verify.proof.prover import prove_instance
    from ramda_verify.proof.subject import import_lines_of
    from ramda_verify.proof.verdict import ProofVerdict

    look_in(Path.cwd())
    try:
        known = known_regularizers()
        chosen = [known_target(name) if name in known else regularizer_target(name) for name in targets or known]
    except TargetError as error:
        raise UsageError(str(error)) from error
    console, proofs = Console(), []
    for target in chosen:
        loading = None if target.name in known else target.import_lines(target.example)
        lines = import_lines_of(target.example, loading)
        try:
            proofs.append(prove_instance(target.example, target.name, lines, seconds))
        except ValueError as error:
            raise UsageError(f"{target.name}: {error}") from error
    show_proofs(console, proofs)
    if report is not None:
        try:
            write_proofs(report, proofs)
        except OSError as error:
            raise not_written(report, error) from error
        console.print(f"Written: {report}", highlight=False, soft_wrap=True)
    passing = {ProofVerdict.PROVED} if targets else {ProofVerdict.PROVED, ProofVerdict.OUTSIDE}
    raise typer.Exit(0 if all(proof.verdict in passing for proof in proofs) else 1)
