"""Every claim with a check. To add one: write its file, list it here."""

from paper_checks import erratum_algorithm2_prox, erratum_equation10_square, theorem1_rate
from paper_checks.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    theorem1_rate.CLAIM,
    erratum_equation10_square.CLAIM,
    erratum_algorithm2_prox.CLAIM,
)

BY_ID = {claim.id: claim for claim in CLAIMS}
