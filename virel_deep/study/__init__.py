"""Studies: algorithms (arms), tasks, seeds and hypotheses in one file; planned, run and reported."""
