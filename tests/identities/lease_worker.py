"""One of many processes that lease from the same pool; prints how many leases it had and how many overlapped.

The witness is not the lease store: while it holds an account a worker keeps a file that only one can create.
"""

import asyncio
import sys
import time
from pathlib import Path

from synthmon.identities.open import open_leases
from synthmon.identities.pools import Account, Leases, Pool

POOL = Pool("clerks", tuple(Account(f"clerk-{number}", {}) for number in range(10)))


async def main(store: str, folder: Path, worker: str, count: int) -> None:
    leases = open_leases(store, folder / "pools.db")
    overlaps = await asyncio.gather(*(_lease_often(leases, folder, f"{worker}-{task}", count // 2) for task in "ab"))
    await leases.aclose()
    print(count // 2 * 2, sum(overlaps))


async def _lease_often(leases: Leases, folder: Path, run_id: str, count: int) -> int:
    overlaps = had = 0
    while had < count:
        now = time.time()
        lease = await leases.lease(POOL, run_id, now, now + 60)
        if lease is None:
            await asyncio.sleep(0.001)
            continue
        had += 1
        witness = folder / lease.account.name
        try:
            witness.touch(exist_ok=False)
        except FileExistsError:
            overlaps += 1
        await asyncio.sleep(0)
        witness.unlink(missing_ok=True)
        if not await leases.release(lease, time.time()):
            overlaps += 1
    return overlaps


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
