"""Plumbing that all packages share: the `virel` command, errors, files, terminal, versions, plot style.

It holds no mathematics, and only `compiled`, the decorator of kernels, imports numpy.
"""
