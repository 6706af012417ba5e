"""Check claims one after the other; a check that breaks shows nothing and is said to."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from paper_checks.claim import Claim, Evidence, Settings
from ramda_verify.engine.record import Verdict


@dataclass(frozen=True)
class Outcome:
    """A claim, what its check found, and how long that took."""

    claim: Claim
    evidence: Evidence
    seconds: float


def check_claim(claim: Claim, settings: Settings) -> Outcome:
    """Run the check of ``claim``. An exception makes it inconclusive: it says nothing about the claim."""
    began = time.perf_counter()
    try:
        evidence = claim.check(settings)
    except Exception as error:  # one broken check must not take the verdicts of the others with it
        evidence = Evidence(Verdict.INCONCLUSIVE, detail=f"the check raised {type(error).__name__}: {error}")
    return Outcome(claim, evidence, time.perf_counter() - began)


def check_claims(claims: Sequence[Claim], settings: Settings) -> Iterator[Outcome]:
    """The outcomes in order, each as soon as it is known; progress is prefixed by the claim's id."""
    for claim in claims:
        settings.progress(claim.id)
        yield check_claim(claim, replace(settings, progress=_prefixed(claim.id, settings.progress)))


def _prefixed(prefix: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    return lambda words: progress(f"{prefix}: {words}")
