"""The agent: networks, optimisers and temperatures of K seeds, how they act, and one update on two roads."""
