"""From YAML to a checked specification of a run, and from that to the objects that make it."""
