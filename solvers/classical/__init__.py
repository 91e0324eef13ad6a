"""Classical solvers of the problems: what a network is to be compared with."""
