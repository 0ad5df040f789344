"""Encoded images by block: read ahead by a few threads, the least recently used dropped beyond a byte budget."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tepui_trainer.reader.order import WINDOW_BYTES
from tepui_trainer.reader.source import Source

READ_THREADS = 16  # what they wait for is the storage, not the processor


class BlockCache:
    """Encoded blocks of one source. Two windows fit: the one in use and the one being read ahead."""

    def __init__(self, source: Source, budget_bytes: int = 2 * WINDOW_BYTES) -> None:
        self._source = source
        self._budget_bytes = budget_bytes
        self._held_bytes = 0
        self._blocks: OrderedDict[int, Future[Sequence[bytes]]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="tepui-read")
        self._first_sample_K = source.blocks.first_sample_K

    def prefetch(self, blocks: Iterable[int]) -> None:
        """Starts reading blocks that are not there yet."""
        for block in blocks:
            self._future(block)

    def encoded(self, block: int, sample: int) -> bytes:
        """The encoded image of a sample that lies in the block; waits for the block to be read."""
        return self._future(block).result()[sample - int(self._first_sample_K[block])]

    def _future(self, block: int) -> Future[Sequence[bytes]]:
        sizes_K = self._source.blocks.size_bytes_K
        with self._lock:
            if block in self._blocks:
                self._blocks.move_to_end(block)
                return self._blocks[block]
            future = self._blocks[block] = self._pool.submit(self._source.read_block, block)
            self._held_bytes += int(sizes_K[block])
            while self._held_bytes > self._budget_bytes and len(self._blocks) > 1:
                dropped, _ = self._blocks.popitem(last=False)
                self._held_bytes -= int(sizes_K[dropped])
            return future
