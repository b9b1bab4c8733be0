"""Number of threads that kernels may use."""

from virel_common.machine import available_cpus


def n_threads() -> int:
    """Threads for kernels: what numba would use (`NUMBA_NUM_THREADS`, `numba.set_num_threads`).

    Never more than the CPUs that affinity and control groups leave to this process. Asking does not start
    numba's own threads.
    """
    from numba import config, get_num_threads  # noqa: PLC0415  (slow to import)
    from numba.np.ufunc import parallel  # noqa: PLC0415

    started = getattr(parallel, "_is_initialized", True)  # by `set_num_threads`, or parallel code of others
    asked = int(get_num_threads()) if started else int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    return min(asked, available_cpus())
