"""Work on finished runs: evaluate, compare, record videos, export policies."""
