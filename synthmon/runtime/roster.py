"""Which identities there are, who has which account now, and whom a run would be: for the command and the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from synthmon.core.namespaces import namespace
from synthmon.identities.invent import invent, offered
from synthmon.identities.pools import Account, Held, Leases, Pool, read_pool
from synthmon.language.settings import Accounts, IdentitySource, Invented, Settings

STATES = ("free", "leased", "resting", "used up")


async def tell_identities(
    settings: Settings, leases: Leases, now: datetime, run_id: str = "", only: str = ""
) -> list[dict[str, Any]]:
    """A map for each entry of `identities:`, or for the one that is called `only`.

    Of accounts: how many are in each state; of each its state, lease, fence, uses, rest; no field but its name.
    Of invented people: the fields, and with a run id (32 hex) the person of that run. Raises `LeasesUnavailable`.
    """
    mark = namespace(run_id, settings.instance, settings.location) if run_id else ""
    told = []
    for name, source in settings.identities.items():
        if only in ("", name):
            told.append(await _told(name, source, leases, now, run_id, mark))
    return told


async def _told(
    name: str, source: IdentitySource, leases: Leases, now: datetime, run_id: str, mark: str
) -> dict[str, Any]:
    match source:
        case Invented(fields, locale, domain):
            told: dict[str, Any] = {"name": name, "kind": "invented", "locale": locale, "domain": domain}
            person = {"person": invent(fields, run_id, locale, domain, mark)} if run_id else {}
            return {**told, "fields": list(offered(fields)), **person}
        case Accounts(file, cooldown_s, max_use, entries, sealed):
            pool = read_pool(name, entries, cooldown_s, max_use, sealed)
            held = {last.account: last for last in await leases.held(pool)}
            states = [_account(pool, account, held, now.timestamp()) for account in pool.accounts]
            return {
                "name": name,
                "kind": "accounts",
                "file": file,
                "fields": list(entries[0]) if entries else [],
                "secret_fields": sorted(sealed),
                "cooldown_s": cooldown_s,
                "max_use": max_use,
                "counts": {word: sum(one["state"] == word for one in states) for word in STATES},
                "accounts": states,
            }


def _account(pool: Pool, account: Account, held: Mapping[str, Held], now_s: float) -> dict[str, Any]:
    last = held.get(account.name)
    if last is None:
        return {"name": account.name, "state": "free", "run": "", "until": None, "free_at": None, "fence": 0, "used": 0}
    leased = bool(last.run_id) and last.until > now_s
    used_up = pool.max_use is not None and last.used >= pool.max_use
    resting = last.free_after > now_s
    state = "leased" if leased else "used up" if used_up else "resting" if resting else "free"
    return {
        "name": account.name,
        "state": state,
        "run": last.run_id if leased else "",
        "until": _instant(last.until) if leased else None,
        "free_at": _instant(last.free_after) if resting and not used_up else None,
        "fence": last.fence,
        "used": last.used,
    }


def _instant(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
