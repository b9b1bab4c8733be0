"""Gap of inference on replay states: `python -m benchmarks.deep.gap`."""
