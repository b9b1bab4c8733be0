"""Definitions of algorithms, presets and runs, as data without torch."""
