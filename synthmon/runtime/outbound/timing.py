"""How long each phase of one act took, from the stamps of its exchanges."""

from __future__ import annotations

from collections.abc import Sequence

from synthmon.core.timing import Timing
from synthmon.runtime.outbound.stamps import Stamps


def timing_of(hops: Sequence[Stamps], ours_ns: int, lagged: bool) -> Timing:
    """Add up the hops of one act; a phase that was under way at the end lasts until `done_ns`."""
    phases = [_phases(hop) for hop in hops]
    if not phases:
        return Timing(ours_ms=ours_ns / 1e6, lagged=lagged)
    dns, connect, tls, wait, read = (sum(column) / 1e6 for column in zip(*phases, strict=True))
    first, last = next((hop for hop in hops if hop.sent_ns), hops[0]), hops[-1]
    return Timing(
        dns_ms=dns,
        connect_ms=connect,
        tls_ms=tls,
        wait_ms=wait,
        read_ms=read,
        total_ms=sum(hop.done_ns - hop.began_ns for hop in hops) / 1e6,
        ours_ms=ours_ns / 1e6,
        sent_at_s=first.sent_ns / 1e9 if first.sent_ns else None,
        first_byte_at_s=last.first_byte_ns / 1e9 if last.first_byte_ns else None,
        lagged=lagged,
        kernel=last.kernel,
        reused=last.reused,
        address=last.address,
        tls_expires_in_s=last.tls_expires_in_s,
    )


def _phases(hop: Stamps) -> tuple[int, int, int, int, int]:
    done = hop.done_ns
    dns = connect = tls = wait = read = 0
    if not hop.reused:
        dns = (hop.resolved_ns or done) - hop.began_ns
        if hop.resolved_ns:
            connect = (hop.connected_ns or done) - hop.resolved_ns
        if hop.connected_ns and (hop.secured_ns or not hop.sent_ns):
            tls = (hop.secured_ns or done) - hop.connected_ns
    if hop.sent_ns:
        wait = (hop.first_byte_ns or done) - hop.sent_ns
    if hop.first_byte_ns:
        read = done - hop.first_byte_ns
    return dns, connect, tls, wait, read
