"""Names of the methods."""

from virel_theory.solvers import policy_methods, value_methods
from virel_theory.solvers.policy_methods import Advance

ADVANCES: dict[str, Advance] = {
    "auto": policy_methods.advance_auto,
    "vi": policy_methods.Point.accept,
    "gs": policy_methods.advance_gs,
    "pi": policy_methods.advance_pi,
    "pi-bicgstab": policy_methods.advance_bicgstab,
    "pi-gmres": policy_methods.advance_gmres,
    "mpi": policy_methods.advance_mpi,
    "ipi": policy_methods.advance_ipi,
    "anderson": value_methods.advance_anderson,
    "ae": value_methods.advance_ae,
}
NEEDS_CSR = frozenset({"gs", "ipi", "ae"})
