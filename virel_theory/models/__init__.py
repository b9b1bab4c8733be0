"""Sources of MDPs: textbook examples, random families, Gymnasium, QVBS, PRISM."""
