"""Why a claim on record has no certifier: it is no finite statement about rational numbers.

Every claim is in `CERTIFIERS` or here, and not in both (tests/verify/proofs/test_certificates.py).
"""

INTERVAL = (
    "actions, or the variable, on an interval: densities, integrals and limits, no finite rational instance"
)
LIMIT = "an infinite sum or the limit of a recursion, without a rational or closed form"
DEFINITION = "a definition: what is checked is that the library's float64 code computes it"

REASONS: dict[str, str] = {
    "theorem-1": INTERVAL,
    "theorem-1-rates": INTERVAL,
    "theorem-1-density-range": INTERVAL,
    "lemma-1-i": INTERVAL,
    "lemma-1-ii": INTERVAL,
    "eq-12": INTERVAL,
    "eq-13": INTERVAL,
    "eq-14": INTERVAL,
    "eq-15": INTERVAL,
    "eq-16": INTERVAL,
    "eq-17": INTERVAL,
    "eq-18": INTERVAL,
    "eq-19": INTERVAL,
    "eq-20": INTERVAL,
    "eq-21": INTERVAL,
    "def-densities": INTERVAL,
    "def-boltzmann-density": INTERVAL,
    "app-f1-two-timescales": LIMIT,
    "def-merl": LIMIT,
    "eq-36": DEFINITION,
    "def-operators": DEFINITION,
    "def-policies": DEFINITION,
    "def-approximators": DEFINITION,
    "def-evaluation": DEFINITION,
    "def-pseudo-likelihood": DEFINITION,
    "def-pseudo-maximiser": DEFINITION,
    "def-updates": DEFINITION,
    "def-temperature-map": DEFINITION,
    "def-self-consistent": DEFINITION,
}

PARTS: dict[str, str] = {
    "theorem-2-moreover": f"as printed: {INTERVAL}",
    "theorem-5-descent": f"as printed: {LIMIT}",
    "theorem-5-iii": f"the printed step `minimisers-converge`: {LIMIT}",
}
"""Forms without a job, of claims that have one."""
