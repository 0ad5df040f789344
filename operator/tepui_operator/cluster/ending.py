"""Whether a task was told to end."""

import asyncio


def cancelled() -> bool:
    """Whether the current task was cancelled, even where that was taken for a time-out.

    A request that is cancelled in the moment its own time runs out raises TimeoutError instead of CancelledError: a
    loop that tries again after time-outs would never end, and a replica that lost its lease would neither act nor go.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
