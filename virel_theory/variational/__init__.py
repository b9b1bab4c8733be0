"""Design space of "On the Design of Variational RL Algorithms" (Marino, Piche, Yue), on finite MDPs."""
