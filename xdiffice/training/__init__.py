"""How it is learned: samples, loss, optimiser and the compiled loop."""
