"""Work on finished runs: evaluate policies, compare runs, record videos, export to ONNX."""
