"""Steps of real training runs, timed at the states and gradients at which they are taken."""
