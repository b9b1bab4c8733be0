"""One file per theorem, lemma or equation group; each defines `CLAIMS`."""
