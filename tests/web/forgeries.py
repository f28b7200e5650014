"""Everything that somebody who wants a hook to lie could send; what came of it, as figures.

`python -m tests.web.forgeries` prints them.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import httpx

from tests.web.calls import signed
from tests.web.raw import a_process, head, most_rss_mb, pour, rss_mb


@dataclass(frozen=True, slots=True)
class Figures:
    """`grew_mb` is the most that the process held, less what it held after the first good call."""

    accepted: int
    codes: dict[str, list[int]]
    grew_mb: float
    cut_s: float
    replayed: int


async def attack() -> Figures:
    """One good call, then everything else."""
    async with a_process("tests.web.hooked") as process, httpx.AsyncClient(timeout=60) as client:
        told = json.loads(await process.stdout.readline())
        url, body = told["signed"], b'{"state": "closed"}'
        good = signed(body)
        assert (await client.post(url, content=body, headers=good)).status_code == 200
        assert json.loads(await process.stdout.readline())["accepted"] == "msg_1"
        for _ in range(20):  # what it needs at all
            await client.post(url, content=bytes(100_000))
        before_mb = rss_mb(process.pid)

        codes = {"replayed": [(await client.post(url, content=body, headers=good)).status_code for _ in range(100)]}
        now = int(time.time())
        for name, headers in {
            "no signature": {},
            "bad signature": signed(body, "msg_2", key=b"guess" * 5),
            "another body": signed(b"{}", "msg_3"),
            "stale": signed(body, "msg_4", now - 3600),
            "from the future": signed(body, "msg_5", now + 3600),
            "wrong id": signed(body, "msg_6") | {"webhook-id": "msg_7"},
        }.items():
            codes[name] = [(await client.post(url, content=body, headers=headers)).status_code for _ in range(5)]
        wrong = told["base"] + "/h/" + "0" * 32
        codes["wrong address"] = [(await client.post(wrong, content=body, headers=good)).status_code]

        stamp = signed(body, "msg_8")
        vast = head("POST", url, Content_Length=50 * 10**9, **stamp)
        endless = head("POST", url, Transfer_Encoding="chunked", **stamp)
        slow = head("POST", url, Content_Length=1000, **stamp)
        drip = head("POST", url, Transfer_Encoding="chunked", **stamp)
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        codes["50 GB"], codes["endless"], cut = [], [], []
        for _ in range(3):
            codes["50 GB"].append((await pour(url, vast, bytes(65536)))[0])
            codes["endless"].append((await pour(url, endless, chunk))[0])
        for _, took_s, _ in await asyncio.gather(
            *(pour(url, slow, b"x", 30, 1.0) for _ in range(5)),
            *(pour(url, drip, b"1\r\nx\r\n", 30, 1.0) for _ in range(5)),
            *(pour(wrong, slow, b"x", 30, 1.0) for _ in range(5)),
        ):
            cut.append(took_s)
        grew_mb = most_rss_mb(process.pid) - before_mb
        process.stdin.close()
        rest = (await process.stdout.read()).splitlines()
        return Figures(len(rest), codes, grew_mb, max(cut), 100)


def main() -> None:
    figures = asyncio.run(attack())
    for name, codes in figures.codes.items():
        print(f"{name:16} {sorted(set(codes))} × {len(codes)}")
    print(f"accepted {figures.accepted}; memory +{figures.grew_mb:.1f} MB; 1 byte/s cut after {figures.cut_s:.1f} s")


if __name__ == "__main__":
    main()
