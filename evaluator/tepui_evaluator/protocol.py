"""The few-shot protocol's name: part of every row's key and of the name of every file of rows."""

from tepui_spec.experiment import Evaluation

VERSION = 1
"""Goes up with any change of support sets, features or fit that changes an error: rows are never mixed."""


def protocol_of(evaluation: Evaluation) -> str:
    """The protocol that an evaluation asks for, such as few-shot-ridge/1:loo."""
    return f"few-shot-ridge/{VERSION}:{'loo' if evaluation.l2 == 'leave-one-out' else 'fixed'}"
