"""Plumbing that all packages share: the `virel` command, errors, files, terminal, versions, plot style.

It holds no mathematics and imports no numpy.
"""
