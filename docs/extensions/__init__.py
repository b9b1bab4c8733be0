"""Sphinx extensions of this site: formulas, docstrings, API pages, gallery, tutorials."""
