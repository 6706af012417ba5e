"""Which checks run on which targets: the jobs of a run."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ramda_verify.cases.recorded.passes import also_on_recorded
from ramda_verify.checks import ALL_CHECKS, BY_ID, OF_SOLUTIONS
from ramda_verify.checks.regularizer import proof
from ramda_verify.engine.large import also_on_large
from ramda_verify.engine.limits import limited, pace_of
from ramda_verify.engine.property import Check, run_check
from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.targets import (
    Target,
    TargetError,
    known_regularizers,
    known_target,
    plain_target,
    regularizer_target,
)
from ramda_verify.engine.world import left_alone
from solvers.optimizers import METHODS

#: Cases per check and target; a check's ``share`` scales it.
EXAMPLES = {"quick": 20, "default": 100, "full": 1000}

OPTIMIZERS = tuple(METHODS)

#: The check after which, where it fails, no other could say more.
CONTRACT = "contract"
#: Checks of prox and value in float64: where one fails, what is made of many proxes is wrong as well, and takes long.
OF_PROX = frozenset({"manners", "prox-minimises", "prox-limits", "prox-homotopy", "prox-rays", "prox-search"})
#: Why a check of solutions is skipped then.
PROX_IS_WRONG = "solutions are made of proxes, and a check of the prox fails"


@dataclass(frozen=True)
class Job:
    """One check on one target, by name, so that it can be sent to another process.

    ``known``: the target is a registered regularizer, not a user's specification. ``share`` scales the number of cases
    of a slow prox. ``dtypes`` and ``devices`` are those that are tried, all where they are empty. ``prox_is_wrong``:
    a check of the prox has failed, and one of solutions is skipped.
    """

    check: str
    target: str
    known: bool = True
    share: float = 1.0
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    prox_is_wrong: bool = False

    @property
    def first(self) -> bool:
        """Whether it runs before all others of a user's target, of which nothing could be said where it fails."""
        return not self.known and self.check == CONTRACT

    @property
    def of_solutions(self) -> bool:
        """Whether nothing could be said where the prox of a user's target is wrong."""
        return not self.known and BY_ID[self.check] in OF_SOLUTIONS

    def build_target(self) -> Target:
        check = BY_ID[self.check]
        if check.kind != "regularizer":
            return plain_target(self.target, check.kind)
        target = known_target(self.target) if self.known else regularizer_target(self.target)
        return replace(target, dtypes=self.dtypes, devices=self.devices)

    def run(self, seed: int, examples: int) -> CheckResult:
        """Run the check; every job has its own stream of cases, whatever else runs."""
        own_seed = seed_of(seed, self.check, self.target)
        target = self.build_target()
        if self.known:
            return run_on_all(BY_ID[self.check], target, own_seed, examples)
        # Its members are called outside the cases as well, when these are drawn.
        with left_alone(), limited(target.example):
            if self.of_solutions and self.prox_is_wrong:
                return self.without_cases(Verdict.SKIP, BY_ID[self.check].applies(target) or PROX_IS_WRONG)
            result = run_on_all(BY_ID[self.check], target, own_seed, max(1, round(self.share * examples)))
            return replace(result, pace=pace_of(target.example)) if self.first else result

    def without_cases(self, verdict: Verdict, detail: str) -> CheckResult:
        """The result where the check has not run, or not to its end."""
        return CheckResult(
            self.check, self.target, verdict, 0, None, BY_ID[self.check].tolerance.value, 0.0, detail=detail
        )


def seed_of(seed: int, check: str, target: str) -> int:
    """The seed of one check on one target in a run with ``seed``."""
    return zlib.crc32(f"{seed}:{check}:{target}".encode())


def run_on_all(check: Check, target: Target, seed: int, examples: int) -> CheckResult:
    """The check on small tensors, on large ones and on recorded problems; a proof is for all of them."""
    if check.id == proof.ID:
        return proof.proof_result(target)
    drawn = run_check(check, target, seed=seed, max_examples=examples)
    drawn = also_on_large(drawn, check, target, seed=seed, max_examples=examples)
    return also_on_recorded(drawn, check, target, seed=seed, max_examples=examples)


def suite_jobs(only: Sequence[str] = ()) -> list[Job]:
    """Every check on every regularizer, optimizer and problem; ``only`` keeps checks or targets of these names."""
    targets = {"regularizer": tuple(known_regularizers()), "optimizer": OPTIMIZERS}
    jobs = [Job(check.id, target) for check in ALL_CHECKS for target in targets.get(check.kind, check.problems)]
    return _kept(jobs, only)


def check_jobs(
    specification: str, only: Sequence[str] = (), *, dtypes: tuple[str, ...] = (), devices: tuple[str, ...] = ()
) -> list[Job]:
    """Every check of a regularizer on the user's ``specification``; ``only`` keeps checks of these names, ``dtypes``
    and ``devices`` are those that are tried.

    Raises TargetError where the specification cannot be loaded, or a name is none.
    """
    regularizer_target(specification)
    jobs = [
        Job(check.id, specification, known=False, dtypes=dtypes, devices=devices)
        for check in ALL_CHECKS
        if check.kind == "regularizer"
    ]
    return _kept(jobs, only)


def _kept(jobs: list[Job], only: Sequence[str]) -> list[Job]:
    names = {job.check for job in jobs} | {job.target for job in jobs}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise TargetError(f"no check or target is called {unknown[0]!r}; there are {', '.join(sorted(names))}")
    return [job for job in jobs if not only or job.check in only or job.target in only]
