"""What a run is, as data: the algorithm, the presets, the run. Free of torch."""
