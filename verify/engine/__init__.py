"""Claims as data, the registry of claims on record, the runner of their checks, and its results."""
