"""Claims on App. F.1: tangent weights, projected residual error, its gradient, two timescales."""
