"""The expected time of a job, by hand."""

from virel_deep.study.environments import Length
from virel_deep.study.probe import Speed


def test_every_evaluation_counts_that_a_run_makes_the_last_one_too():
    """2,500 steps with an evaluation every 1,000 are 3 evaluations: at 1,000, 2,000 and 2,500."""
    speed = Speed(step=0.0, plain=1.0, episode=100, tasks=2)
    assert speed.core_hours(Length(2500, 1000, 5)) * 3600 == 2 * 5 * 3 * 100
