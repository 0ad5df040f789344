"""Turns experiment specs into Jobs: the plan, the manifests, and the embedded engine. Never imports torch."""
