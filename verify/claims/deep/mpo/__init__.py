"""Claims on the deep MPO and its kin: E-step, M-step, parametric form, and RERPI with Gaussians."""
