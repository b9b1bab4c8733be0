"""The agent: networks, optimisers and temperatures of K seeds, and one update."""
