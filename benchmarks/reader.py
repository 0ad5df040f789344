"""Images per second that the reader gives a training loop, from the quickstart's data and from photographs.

    .venv/bin/tepui data quickstart
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/reader.py [--data data/quickstart]

Half a minute on a free core. Prints a Markdown table: wall time, and processor time of all threads, which other work on
the machine disturbs less. Small images are decoded at their first use and kept, so the first pass stands apart.
Photographs are crops of 500 x 375 pixels of scikit-image's own pictures as JPEG in Parquet, trained on at 224 px.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from tepui_trainer.data import Augment, Batch, Dataset, batches, open_dataset, sequential
from tepui_trainer.datasets.packaged import packaged_file

BATCH_SIZE = 128
PHOTOGRAPHS = 2048
PICTURES = ("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "retina.jpg", "rocket.jpg")


@dataclass(frozen=True)
class Rate:
    """One row of the table."""

    what: str
    images: int
    wall_s: float
    processor_s: float

    def row(self) -> str:
        """The rates, rounded to three digits."""
        wall, processor = (float(f"{self.images / seconds:.3g}") for seconds in (self.wall_s, self.processor_s))
        return f"| {self.what} | {wall:,.0f} | {processor:,.0f} |"


def measured(what: str, loaded: Iterator[Batch]) -> Rate:
    """Goes through the batches once."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    images = sum(len(batch.labels_B) for batch in loaded)
    return Rate(what, images, time.perf_counter() - wall_s, time.process_time() - processor_s)


def trained(dataset: Dataset, images: int, augment: Augment) -> Iterator[Batch]:
    """Batches as a training loop asks for them."""
    return batches(dataset, seed=0, global_batch_size=BATCH_SIZE, start_sample=0, stop_sample=images, augment=augment)


def quickstart_rates(uri: str) -> Iterator[Rate]:
    """Small images: the first pass, then every kind of crop."""
    fonts = open_dataset(f"{uri}/fonts", split="train", image_size_px=32)
    count = len(fonts)
    yield measured("32 px, first pass (decoding)", trained(fonts, count, Augment()))
    yield measured("32 px, plain", sequential(fonts, batch_size=256))
    yield measured("32 px, crop by padding", trained(fonts, count, Augment(crop="pad")))
    yield measured("32 px, crop by padding, flip", trained(fonts, count, Augment(crop="pad", flip=True)))
    yield measured("32 px, resized crop, flip", trained(fonts, count, Augment(crop="resized", flip=True)))
    streamed = open_dataset(f"{uri}/fonts", split="train", image_size_px=32, cache_bytes=0)
    yield measured("32 px, not kept in memory", trained(streamed, count, Augment(crop="pad")))


def photograph_rates(folder: Path) -> Iterator[Rate]:
    """Large images: decoded crop by crop, and by the centre square."""
    write_photographs(folder)
    train = open_dataset(str(folder), split="train", image_size_px=224)
    augment = Augment(crop="resized", flip=True)
    yield measured("500 x 375 px JPEG to 224 px, resized crop, flip", trained(train, PHOTOGRAPHS, augment))
    plain = open_dataset(str(folder), split="train", image_size_px=224, cache_bytes=0)
    yield measured("500 x 375 px JPEG to 224 px, plain", sequential(plain, batch_size=BATCH_SIZE))


def write_photographs(folder: Path) -> None:
    """Random crops of the pictures as one shard, row groups of 128."""
    random = np.random.default_rng(0)
    pictures = [Image.open(packaged_file("scikit-image", f"skimage/data/{name}")).convert("RGB") for name in PICTURES]
    encoded = []
    for index in range(PHOTOGRAPHS):
        picture = pictures[index % len(PICTURES)]
        scale = max(1.0, 520 / picture.width, 395 / picture.height)
        picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
        left, top = random.integers([picture.width - 500, picture.height - 375]).tolist()
        sink = io.BytesIO()
        picture.crop((left, top, left + 500, top + 375)).save(sink, "JPEG", quality=90)
        encoded.append(sink.getvalue())
    table = pa.table({"image": encoded, "label": np.arange(PHOTOGRAPHS) % len(PICTURES)})
    pq.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=128, write_page_checksum=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/quickstart", help="folder of the quickstart's datasets")
    args = parser.parse_args()
    print(f"{torch.get_num_threads()} torch threads\n\n| images | per second | per processor second |\n|---|---|---|")
    for rate in quickstart_rates(args.data):
        print(rate.row(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for rate in photograph_rates(Path(folder)):
            print(rate.row(), flush=True)


if __name__ == "__main__":
    main()
