"""The driver for a cluster: watches, one loop, and writes; what to do is decided by `plan` as on one machine."""
