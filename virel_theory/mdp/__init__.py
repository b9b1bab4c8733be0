"""Finite MDPs: the data, its validation, its file format, the linear systems of a policy."""
