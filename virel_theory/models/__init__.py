"""Where MDPs come from: textbook examples, random families, Gymnasium, QVBS, PRISM."""
