"""Studies: arms, tasks, seeds and hypotheses in one file; planned, run, continued, decided and reported."""
