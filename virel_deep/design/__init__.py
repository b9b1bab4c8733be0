"""Settings that define algorithms, presets and runs, as plain dataclasses that need no torch."""
