"""Finite MDPs: data, validation, file format, checks of tables, linear systems of a policy."""
