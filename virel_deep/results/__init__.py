"""What is done with finished runs: evaluate, compare, watch, export."""
