"""The two kinds of expected failure (DESIGN.md, rule 2): the user's and the world's.

    ValueError      what a user can mend; the message names the field and the value
    TransientError  the world's: worth trying again later with the same input

Anything else is a bug and crashes loudly.
"""


class TransientError(Exception):
    """A fault of the world (a store or server that does not answer) that may be gone at the next try."""
