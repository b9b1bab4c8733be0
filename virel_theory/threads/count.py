"""Number of threads that kernels may use."""

from virel_common.machine import available_cpus


def n_threads() -> int:
    """Threads for kernels: what numba would use (`NUMBA_NUM_THREADS`, `numba.set_num_threads`).

    Never more than the CPUs that affinity and control groups leave to this process.
    """
    from numba import get_num_threads  # noqa: PLC0415  (slow to import)

    return min(int(get_num_threads()), available_cpus())
