"""Checkpoints to result rows to saturation laws to a report."""
