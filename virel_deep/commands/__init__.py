"""Command lines of the deep agent (`train`, `study`, `compare`, ...): parse options, call, print."""
