"""Whether our own routing table lets a packet out, asked without sending one."""

from __future__ import annotations

import socket

from synthmon.runtime.outbound.addresses import literal


def forbidden_here(address: str) -> bool:
    """True when this host itself has no route there or forbids it; False when only the network beyond can have said so.

    Connecting a datagram socket makes the kernel look up the route and sends nothing (connect(2), udp(7)).
    """
    ip = literal(address)
    if ip is None:
        return False
    try:
        with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((str(ip), 9))
    except OSError:
        return True
    return False
