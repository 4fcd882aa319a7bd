"""Recording clients, each a process of its own, and the harness-side handles that steer and watch them."""
