"""Claims as data, the registry of those on record, the runner of their checks, and the results."""
