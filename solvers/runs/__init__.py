"""A run's directory: its record and files, checkpoints, provenance, archive, merging, status."""
