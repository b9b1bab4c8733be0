"""Comparisons and measurements, each a command: `python -m benchmarks.NAME`.

They write below `out/`. What documents cite stands in `docs/benchmarks/`, and the raw results in `results/`;
`benchmarks.archive` carries both there.
"""
