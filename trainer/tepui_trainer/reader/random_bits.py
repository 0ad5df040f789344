"""Random numbers as functions of their names: the same on every machine, rank and NumPy version.

Only raw bits of counter-based generators are used: NumPy guarantees those streams, while the methods that turn
bits into distributions or permutations may change between versions (NEP 19).
"""

import hashlib

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def _key(*name: str | int) -> int:
    digest = hashlib.sha256("/".join(str(part) for part in name).encode()).digest()
    return int.from_bytes(digest[:16], "little")


def named_bits(count: int, *name: str | int) -> UInt64Array:
    """(count,) random 64-bit integers; a longer stream of the same name starts with the shorter one (Philox)."""
    return np.asarray(np.random.Philox(key=_key(*name)).random_raw(count), dtype=np.uint64)


def sample_uniforms(samples_B: npt.NDArray[np.int64], draws: int, *name: str | int) -> npt.NDArray[np.float64]:
    """(B, draws) uniforms in [0, 1), each a function of the name, the sample's index and the draw alone.

    SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", fig. 13) at
    counter index * draws + draw, from a state that the name gives.
    """
    state = np.uint64(_key(*name) & 0xFFFFFFFFFFFFFFFF)
    counter_BD = samples_B.astype(np.uint64)[:, None] * np.uint64(draws) + np.arange(draws, dtype=np.uint64)
    z_BD: UInt64Array = np.asarray(state + (counter_BD + np.uint64(1)) * GOLDEN_GAMMA, dtype=np.uint64)
    z_BD = (z_BD ^ (z_BD >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z_BD = (z_BD ^ (z_BD >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z_BD ^= z_BD >> np.uint64(31)
    return np.asarray((z_BD >> np.uint64(11)).astype(np.float64) * 2.0**-53)
