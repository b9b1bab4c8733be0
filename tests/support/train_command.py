"""Words of a small `virel train`."""

PENDULUM = "InvertedPendulum-v5"
TINY = ("--set", "hidden=[8,8]", "data.batch=16", "data.warmup=20")


def arguments(out, **changes):
    """A good command, with options replaced; None leaves one out."""
    options = {
        "preset": "sac",
        "env": PENDULUM,
        "steps": "40",
        "out": str(out),
        "precision": "highest",
    } | changes
    given = {name: value for name, value in options.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", *value.split())]
