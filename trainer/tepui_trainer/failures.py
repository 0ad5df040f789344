"""Expected ways for a pod to end other than with success, and the class that each belongs to.

    ValueError              Configuration   the user's: a field of the spec
      DataError             Data            the user's: images that are missing, corrupt or not what they claim
    TransientError          Storage         the world's: a store that does not answer or is full
      CheckpointError       Checkpoint      no intact checkpoint where one must be
    Diverged                Diverged        the loss became NaN or infinite
    Preempted               Preempted       told to stop; what was done is saved
    PeerLost                PeerLost        another process of the gang is gone
    MemoryError, torch's    OutOfMemory

Anything else is a bug and crashes.
"""

import errno
import sys

from tepui_spec.errors import TransientError
from tepui_spec.outcome import Outcome

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""errno of a disk, quota or file size limit that is used up."""
WORLD = FULL | {errno.EIO, errno.ESTALE, errno.ETIMEDOUT}


class DataError(ValueError):
    """Data that are missing, unreadable or not what they claim to be; the message names the URI."""


class CheckpointError(Exception):
    """Checkpoints exist where the trial resumes, and none of them is intact."""


class Diverged(Exception):  # noqa: N818 (named as the outcome)
    """The loss became NaN or infinite."""


class Preempted(Exception):  # noqa: N818
    """The pod was told to stop, and what was done so far is saved."""


class PeerLost(Exception):  # noqa: N818
    """Another process of the gang is gone, so this one cannot go on."""


_BY_CLASS: tuple[tuple[type[BaseException], Outcome], ...] = (
    (Preempted, Outcome.PREEMPTED),
    (Diverged, Outcome.DIVERGED),
    (PeerLost, Outcome.PEER_LOST),
    (CheckpointError, Outcome.CHECKPOINT),
    (TransientError, Outcome.STORAGE),
    (MemoryError, Outcome.OUT_OF_MEMORY),
    (DataError, Outcome.DATA),
)


def classify(error: BaseException) -> Outcome:
    """The class of failure that an exception means; CRASHED for anything unexpected."""
    for kind, outcome in _BY_CLASS:
        if isinstance(error, kind):
            return outcome
    if _is_the_users(error):
        return Outcome.CONFIGURATION
    if isinstance(error, OSError) and error.errno in WORLD:
        return Outcome.STORAGE
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return Outcome.OUT_OF_MEMORY
    return _of_torch(error)


def _is_the_users(error: BaseException) -> bool:
    """A plain ValueError or one of ours; a library's own kind (numpy's LinAlgError, a JSONDecodeError) is a bug."""
    kind = type(error)
    return kind is ValueError or (issubclass(kind, ValueError) and kind.__module__.startswith("tepui_"))


def _of_torch(error: BaseException) -> Outcome:
    """torch's own failures, without importing torch where it was not: memory and lost peers."""
    torch = sys.modules.get("torch")
    if torch is None:
        return Outcome.CRASHED
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in text:
        return Outcome.OUT_OF_MEMORY
    lost = ("Connection closed by peer", "Connection reset by peer", "Connection refused")
    if isinstance(error, RuntimeError) and "gloo" in text.lower() and any(sign in text for sign in lost):
        return Outcome.PEER_LOST
    if torch.distributed.is_available() and isinstance(error, torch.distributed.DistNetworkError):
        return Outcome.PEER_LOST
    return Outcome.CRASHED
