"""Builders of torch parts, one file per axis: each ends with a table from settings to functions."""
