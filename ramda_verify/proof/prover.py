"""Proofs for one regularizer: what may vary, how psi is seen (entries or groups), the question, the verdict."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from ramda_verify.engine.arguments import rebuilt
from ramda_verify.proof.agreement import disagreement
from ramda_verify.proof.counterexample import counterexamples
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.groups import Coupled
from ramda_verify.proof.parameters import ASSUMED, Parameter, parameters_of, with_values
from ramda_verify.proof.question import Question, Traced, entry_question, group_question, separability_question
from ramda_verify.proof.replay import replay
from ramda_verify.proof.shapes import STEP, allowed_shapes, example, refusal
from ramda_verify.proof.splitting import ask
from ramda_verify.proof.terms import Truth
from ramda_verify.proof.tracing import NotTraceable, trace
from ramda_verify.proof.verdict import Counterexample, Proof, ProofVerdict

#: Seconds for the question whether entries mix.
SEPARABILITY_TIME = 5.0
#: Sizes of groups; the first two that the class takes are proved.
GROUP_SIZES, MOST_SIZES = (2, 3, 4, 5, 8, 16), 2

ImportLines = Callable[[Mapping[str, float]], Sequence[str]]


@dataclass(frozen=True)
class _Outcome:
    verdict: ProofVerdict
    subject: str
    detail: str = ""
    counterexample: Counterexample | None = None


def prove_instance(regularizer: Any, name: str, import_lines: ImportLines, seconds: float) -> Proof:
    """Decide for one object whether its prox minimises, for all w, steps and parameters, see ``Proof``."""
    start = time.monotonic()
    prover = _Prover(regularizer, import_lines, start + seconds)
    parameters = parameters_of(regularizer)
    chosen, outcome = prover.decide(parameters)
    fixed = [f"{p.name} = {p.own:g}" for p in parameters if p not in chosen]
    words = ", ".join(p.describe() for p in chosen)
    if fixed:
        words = f"{words}, at {', '.join(fixed)}" if words else f"at {', '.join(fixed)}"
    return Proof(
        name, outcome.verdict, outcome.subject, words or "no parameters", time.monotonic() - start, outcome.detail,
        outcome.counterexample,
    )  # fmt: skip


@dataclass
class _Prover:
    regularizer: Any
    import_lines: ImportLines
    deadline: float
    parameters: tuple[Parameter, ...] = ()

    def decide(self, parameters: Sequence[Parameter]) -> tuple[tuple[Parameter, ...], _Outcome]:
        """The outcome for as many parameters as can vary; the others keep the object's own values.

        A counterexample at parameters that nobody declared or checked does not count: they may be out of range.
        """
        self.parameters = tuple(parameters)
        first: tuple[tuple[Parameter, ...], _Outcome] | None = None
        for chosen in _subsets(parameters):
            if first and first[1].verdict is ProofVerdict.REFUTED and not _checked(parameters) <= set(chosen):
                continue
            outcome = self._with(chosen)
            guessed = any(p.source == ASSUMED for p in chosen)
            final = outcome.verdict in (ProofVerdict.PROVED, ProofVerdict.OUTSIDE)
            if final or (outcome.verdict is ProofVerdict.REFUTED and not guessed):
                return chosen, self._remarked(outcome, first)
            first = first or (chosen, outcome)
            if time.monotonic() > self.deadline:
                break
        assert first is not None
        chosen, outcome = first
        if outcome.verdict is ProofVerdict.REFUTED:
            text = "a counterexample exists only at parameters that may be out of range; declare parameter_ranges"
            outcome = replace(outcome, verdict=ProofVerdict.UNDECIDED, detail=text)
        return chosen, outcome

    def _remarked(self, outcome: _Outcome, first: Any) -> _Outcome:
        """With a word on why fewer parameters vary than could."""
        if first is None or outcome.verdict is not ProofVerdict.PROVED or not first[1].detail:
            return outcome
        return replace(outcome, detail=f"with {', '.join(p.name for p in first[0])} free: {first[1].detail}")

    def _with(self, chosen: tuple[Parameter, ...]) -> _Outcome:
        try:
            return self._entry_or_group(chosen)
        except (NotTraceable, Unreadable) as error:
            return _Outcome(ProofVerdict.NOT_PROVABLE, "", str(error))
        except Coupled as error:
            return _Outcome(ProofVerdict.OUTSIDE, "", f"neither a sum over entries nor a norm of groups: {error}")

    def _entry_or_group(self, chosen: tuple[Parameter, ...]) -> _Outcome:
        """One entry where two entries do not mix, else groups of two sizes."""
        try:
            one, verdict = self._entry(chosen)
        except Coupled:
            one, verdict = None, "sat"
        if one is not None and verdict == "unsat":
            return self._answer(one, entry_question(one), "each entry")
        sizes = [size for size in GROUP_SIZES if allowed_shapes(self.regularizer, size)][:MOST_SIZES]
        if not sizes:
            raise NotTraceable(f"it raises {refusal(self.regularizer, (2, 1))}")
        try:
            return self._groups(chosen, sizes)
        except Coupled:
            if verdict != "unknown":
                raise
            return _Outcome(ProofVerdict.UNDECIDED, "", "the solver ran out of time over whether entries mix")

    def _entry(self, chosen: tuple[Parameter, ...]) -> tuple[Traced | None, str]:
        """The trace of one entry, and whether two entries mix on a shape that holds two: "unsat" if they do not."""
        shapes = allowed_shapes(self.regularizer, 1)
        if not shapes:
            return None, "no entry"
        one = self._trace(shapes[0], chosen)
        verdict = "unsat"
        for shape in allowed_shapes(self.regularizer, 2):
            question = separability_question(one, self._trace(shape, chosen))
            if question.lower is False:
                continue
            until = min(self.deadline, time.monotonic() + SEPARABILITY_TIME)
            answer = ask(question.conditions(question.lower), question.context.sides, until)
            if answer.verdict == "sat":
                return one, "sat"
            verdict = "unknown" if answer.verdict == "unknown" else verdict
        return one, verdict

    def _groups(self, chosen: tuple[Parameter, ...], sizes: Sequence[int]) -> _Outcome:
        """The outcome for groups of these sizes, the first that is not proved or that of all.

        A size beyond the first one may be no group: a class may fix the size.
        """
        proved: list[str] = []
        for size in sizes:
            try:
                traced, question = self._group(chosen, size)
            except Coupled:
                if proved:
                    break
                raise
            outcome = self._answer(traced, question, f"a group of {size} entries")
            if outcome.verdict is not ProofVerdict.PROVED:
                return outcome
            proved.append(str(size))
        return _Outcome(ProofVerdict.PROVED, f"a group of {' or '.join(proved)} entries")

    def _group(self, chosen: tuple[Parameter, ...], size: int) -> tuple[Traced, Question]:
        """The first shape on which all entries are one group; the class takes some of this size."""
        reason: Coupled | None = None
        for shape in allowed_shapes(self.regularizer, size):
            try:
                traced = self._trace(shape, chosen)
                return traced, group_question(traced)
            except Coupled as error:
                reason = error
        assert reason is not None
        raise reason

    def _trace(self, shape: Sequence[int], chosen: tuple[Parameter, ...]) -> Traced:
        w = example(shape)
        numbers = [torch.tensor(p.own, dtype=torch.float64) for p in chosen]

        def changed(values: Sequence[Tensor]) -> Any:
            return with_values(self.regularizer, {p.attribute: v for p, v in zip(chosen, values, strict=True)})

        prox = trace(
            lambda w, step, *values: changed(values).prox(w, step),
            [w, torch.tensor(STEP, dtype=torch.float64), *numbers],
        )
        value = trace(lambda w, *values: changed(values).value(w), [w, *numbers])
        fixed = tuple(p for p in self.parameters if p not in chosen)
        return Traced(tuple(shape), chosen, fixed, prox, value)

    def _answer(self, traced: Traced, question: Question, subject: str) -> _Outcome:
        differs = disagreement(traced, question, self._build)
        if differs is not None:
            return _Outcome(ProofVerdict.NOT_PROVABLE, subject, differs)
        for wrong in (question.undefined, question.lower):
            if wrong is False:
                continue
            answer = ask(question.conditions(wrong), question.context.sides, self.deadline)
            if answer.verdict == "unknown":
                return _Outcome(ProofVerdict.UNDECIDED, subject, "the solver ran out of time")
            if answer.model is None:
                continue
            return self._replayed(traced, question, wrong, answer.model, subject)
        return _Outcome(ProofVerdict.PROVED, subject)

    def _replayed(self, traced: Traced, question: Question, wrong: Truth, model: Any, subject: str) -> _Outcome:
        """The first counterexample that the object confirms in float64; the reason of the first one if none does."""
        reasons = []
        names = [p.name for p in traced.parameters]
        for values in counterexamples(question, wrong, model, {p.name: p.own for p in traced.parameters}):
            tried = replay(self._build, self.import_lines, traced.shape, values, names)
            if tried.confirmed:
                return _Outcome(ProofVerdict.REFUTED, subject, counterexample=tried.counterexample)
            reasons.append(tried.reason)
        return _Outcome(ProofVerdict.UNDECIDED, subject, f"no counterexample in float64: {reasons[0]}")

    def _build(self, values: Mapping[str, float]) -> Any:
        return rebuilt(self.regularizer, values)


def _checked(parameters: Sequence[Parameter]) -> set[Parameter]:
    """Those whose range is more than a guess."""
    return {parameter for parameter in parameters if parameter.source != ASSUMED}


def _subsets(parameters: Sequence[Parameter]) -> Iterator[tuple[Parameter, ...]]:
    """All parameters, then all but one, ... and none."""
    for size in range(len(parameters), -1, -1):
        yield from combinations(parameters, size)
