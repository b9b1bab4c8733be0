"""Claims on the objective L: its decompositions, its posterior, Lemma 1 and Theorem 3."""
