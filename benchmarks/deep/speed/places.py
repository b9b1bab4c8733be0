"""Environments that presets are measured in, and their sizes; nothing is imported, as peers read it too."""

ENV = "HalfCheetah-v5"
OWN_ENV = {"distral": "virel/TwoRooms-v0"}
"""Environment of presets that are for discrete actions alone."""
SIZES = {"HalfCheetah-v5": (17, 6), "virel/TwoRooms-v0": (35, 4)}
"""Entries of an observation and of an action, by environment."""


def env_of(preset: str) -> str:
    """Environment that a preset is measured in.

    Example:
        >>> env_of("sac"), env_of("distral")
        ('HalfCheetah-v5', 'virel/TwoRooms-v0')
    """
    return OWN_ENV.get(preset, ENV)
