"""Statement mutants: a claim's statement with one deliberate error, which must turn its verdict."""

import dataclasses
import importlib

import numpy as np
import pytest

from verify.engine.registry import all_claims
from verify.engine.runner import CheckError, run_check


def mutant(claim, name, module, attribute, change, *, form="printed"):
    """A test parameter: `change(original)` takes the place of `module.attribute` in the claim's check."""
    return pytest.param(claim, form, module, attribute, change, id=f"{claim}: {name}")


def turns(claim_id, form, monkeypatch, module, attribute, change):
    """Whether the verdict of a claim that holds turns once part of its statement is changed."""
    where = importlib.import_module(module)
    monkeypatch.setattr(where, attribute, change(getattr(where, attribute)))
    claim = all_claims()[claim_id]
    check = claim.check if form == "printed" else claim.correction.check
    check = dataclasses.replace(check, named=tuple)
    try:
        with np.errstate(all="ignore"):
            return not run_check(check, seed=0, shrink=False).ok
    except CheckError:
        return True
