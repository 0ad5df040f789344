"""`python lease_writer.py NAMESPACE NAME LEASE_S`: writes to a ConfigMap for as long as it holds a lease.

As the operator does: asks `holds()` before every write, ends when it lost the lease, gives it back on SIGTERM.
"""

import asyncio
import signal
import sys
from contextlib import suppress

from tepui_operator.cluster.api import Api, configured
from tepui_operator.cluster.lease import LeaderLease, LeaseTiming
from tepui_operator.cluster.metrics import Metrics
from tepui_spec.errors import TransientError

WRITE_EVERY_S = 0.02
LOST = 3
"""Exit code."""


async def main(namespace: str, name: str, lease_s: int) -> int:
    """Write until told to end (exit code 0) or until the lease is lost (LOST)."""
    timing = LeaseTiming(lease_s, renew_deadline_s=lease_s / 2, retry_s=lease_s / 8)
    async with Api(await configured(), Metrics(), write_timeout_s=timing.write_timeout_s) as api:
        lease = LeaderLease(api, namespace=namespace, name="writers", identity=name, timing=timing)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        holding = asyncio.create_task(lease.run())
        writing = asyncio.create_task(_write(api, lease, f"/api/v1/namespaces/{namespace}/configmaps/written", name))
        told = asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait({holding, writing, told}, return_when=asyncio.FIRST_COMPLETED)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        return 0 if told in done else LOST


async def _write(api: Api, lease: LeaderLease, path: str, name: str) -> None:
    await lease.acquire()
    count = 0
    while lease.holds():
        count += 1
        with suppress(TransientError):
            await api.patch(path, {"data": {"by": name, "count": str(count)}})
        await asyncio.sleep(WRITE_EVERY_S)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
