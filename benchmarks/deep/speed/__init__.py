"""Speed of learning, ours and peers side by side: `python -m benchmarks.deep.speed`."""
