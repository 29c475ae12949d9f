"""The benchmark matrix: gohttp beside its peers, on one machine, in one run."""
