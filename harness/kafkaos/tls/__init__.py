"""TLS for clusters: profiles, authorities, stores, rotation, and certificates for somebody's own cluster."""
