"""Names of the methods."""

from virel_theory import _accelerate, _methods
from virel_theory._methods import Advance

ADVANCES: dict[str, Advance] = {
    "auto": _methods.advance_auto,
    "vi": _methods.Point.accept,
    "gs": _methods.advance_gs,
    "pi": _methods.advance_pi,
    "pi-bicgstab": _methods.advance_bicgstab,
    "pi-gmres": _methods.advance_gmres,
    "mpi": _methods.advance_mpi,
    "ipi": _methods.advance_ipi,
    "anderson": _accelerate.advance_anderson,
    "ae": _accelerate.advance_ae,
}
NEEDS_CSR = frozenset({"gs", "ipi", "ae"})
