"""Which stored images were found corrupt, and when there are too many of them."""

import threading

import numpy as np

from tepui_trainer.failures import DataError
from tepui_trainer.reader.source import IntArray

UNSEEN, INTACT, CORRUPT = 0, 1, 2
EXAMPLES = 5
FEW = 1000  # below this many images seen, a share says nothing yet


class Corruption:
    """The state of each of a source's N images, with a limit on the share of corrupt ones.

    Counts what this process has decoded. The limit applies to the images seen, counted as at least the smaller of
    1,000 and N, so that one corrupt image among the first few ends nothing.
    """

    def __init__(self, uri: str, num_images: int, max_share: float) -> None:
        if not 0.0 <= max_share <= 1.0:
            raise ValueError(f"max_corrupt_share is {max_share}; it must lie in [0, 1]")
        self.state_N = np.zeros(num_images, dtype=np.uint8)
        self.examples: list[str] = []
        self._uri = uri
        self._max_share = max_share
        self._lock = threading.Lock()

    @property
    def samples(self) -> IntArray:
        """The distinct corrupt images found so far, ascending."""
        return np.flatnonzero(self.state_N == CORRUPT)

    @property
    def seen(self) -> int:
        """Distinct images decoded so far."""
        return int((self.state_N != UNSEEN).sum())

    def found(self, sample: int, place: str, reason: str) -> None:
        """Takes note of a corrupt image; the first few are kept with their places."""
        with self._lock:
            known = self.state_N[sample] == CORRUPT
            self.state_N[sample] = CORRUPT
            if not known and len(self.examples) < EXAMPLES:
                self.examples.append(f"{place}: {reason}")

    def intact_B(self, samples_B: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of these decoded samples are intact."""
        return np.asarray(self.state_N[samples_B] == INTACT)

    def check(self) -> None:
        """Raises `DataError`, naming share, limit and the first places, if too many images are corrupt."""
        if not self.examples:
            return
        count, seen = len(self.samples), self.seen
        if count > self._max_share * max(seen, min(FEW, len(self.state_N))):
            raise DataError(
                f"{self._uri}: {count} of {seen} images read are corrupt, a share of {count / seen:.4g}; "
                f"max_corrupt_share is {self._max_share:g}. First: " + "; ".join(self.examples)
            )
