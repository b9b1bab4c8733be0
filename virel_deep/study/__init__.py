"""Studies: arms, tasks, seeds and hypotheses in one file; planned, run, decided and reported."""
