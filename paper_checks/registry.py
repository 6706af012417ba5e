"""Every claim with a check. To add one: write its file, list it here."""

from paper_checks.claim import Claim

CLAIMS: tuple[Claim, ...] = ()

BY_ID = {claim.id: claim for claim in CLAIMS}
