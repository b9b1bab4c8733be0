"""Claims on RERPI and V-MPO: weights that grow with values, Gaussian fits, the top share of the mass."""
