"""The network links between the nodes of a cluster and its clients: a relay process, and how the harness steers it."""
