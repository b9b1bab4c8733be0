"""Proofs of limits with explicit bounds: the Dirac limit of Theorem 1, and the loss of a Boltzmann policy."""

import numpy as np
import pytest
from flint import arb, fmpq

from tests.support.proofs import job_of
from verify import recheck
from verify.arithmetic.instance import exactly, without_mdp
from verify.claims.optima import facts as optima
from verify.claims.theorem_1 import proofs as theorem_1
from verify.proofs.certificate import Certificate, Undecided, write
from verify.proofs.facts import at_least, certify
from virel_theory.mdp.tabular import TabularMDP


def dirac(f, phi, eps):
    return without_mdp(f=tuple(map(fmpq, f)), phi=tuple(map(fmpq, phi)), eps=eps)


DIRAC = job_of("theorem-1-finite", "printed")


def test_tied_maxima_are_not_a_dirac():
    x = dirac([1, 1], [0, 1], fmpq(1, 2))
    assert isinstance(
        certify("theorem-1-finite", "printed", x, parts=DIRAC.parts, facts=DIRAC.facts), Undecided
    )


@pytest.mark.parametrize("eps", [fmpq(1), fmpq(1, 100), fmpq(1, 10**4)])
@pytest.mark.parametrize("phi", [[0, 1, -1], [0, fmpq(1, 3), fmpq(-2, 7)], [fmpq(1, 3)] * 3])
def test_a_dirac_limit_is_certified_at_any_temperature_and_any_oscillation(eps, phi, tmp_path):
    """osc(phi) (n - 1) is not an integer in the second case: the bound itself is never rounded."""
    x = dirac([3, 2, -4], phi, eps)
    outcome = certify("theorem-1-finite", "printed", x, parts=DIRAC.parts, facts=DIRAC.facts)
    assert isinstance(outcome, Certificate)
    write(tmp_path / "c.json", [outcome])
    assert len(recheck.recheck(tmp_path / "c.json")) == 1


def test_the_bound_of_a_dirac_limit_is_attained_where_it_should_be():
    """n = 2, by hand: bound -+ deviation is osc w^2/(1 + w) and osc w (2 + w)/(1 + w)."""
    x = dirac([1, 0], [0, fmpq(1, 3)], fmpq(1))
    w = float(np.exp(-1))
    (below,), (above,) = theorem_1.dirac(x, side=1), theorem_1.dirac(x, side=-1)
    assert float(below) == pytest.approx(w**2 / (1 + w) / 3, rel=1e-14)
    assert float(above) == pytest.approx(w * (2 + w) / (1 + w) / 3, rel=1e-14)


def test_a_loss_above_its_bound_is_not_certified():
    x = exactly(
        {"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5), "q": np.array([[1.0, 0.0]]), "eps": 1.0}
    )
    facts = [at_least(lambda y: [bound - arb(1) / 2 for bound in optima.loss_bound(y, entropic=True)])]
    assert isinstance(certify("app-c-1", "printed", x, parts=("mdp", "q", "eps"), facts=facts), Undecided)
