"""Jets, networks, trial functions and the terms of the loss: what is evaluated, in any array namespace."""
