"""A film on many machines: measured on local nodes, and simulated beyond them."""
