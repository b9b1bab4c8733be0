"""The objective with a prior policy, its E-step, M-steps and dual, and the form of an iterate."""
