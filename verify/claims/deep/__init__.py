"""Claims about the deep agent: its losses on a finite MDP equal the exact objects of `virel_theory`."""
