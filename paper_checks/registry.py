"""Every claim with a check. To add one: write its file, list it here."""

from paper_checks import (
    erratum_algorithm2_prox,
    erratum_equation10_square,
    erratum_equation22_second_moment,
    table7_mnist,
    theorem1_rate,
    variance_reduction,
)
from paper_checks.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    theorem1_rate.CLAIM,
    variance_reduction.CLAIM,
    table7_mnist.CLAIM,
    erratum_equation10_square.CLAIM,
    erratum_algorithm2_prox.CLAIM,
    erratum_equation22_second_moment.CLAIM,
)

BY_ID = {claim.id: claim for claim in CLAIMS}
