"""`synthmon identities`: as whom journeys act, and who has which account now."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, say_problems, screen, stop


def identities(
    run: Annotated[str, typer.Option("--run", help="Show whom this run id invents: 32 hex digits.")] = "",
    pool: Annotated[str, typer.Option("--pool", help="Only this entry of `identities:`.")] = "",
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """List the identities of the settings: accounts and who holds them, invented people and their fields."""
    import asyncio

    from synthmon.identities.pools import LeasesUnavailable
    from synthmon.language.load import load

    if run and not re.fullmatch("[0-9a-f]{32}", run):
        stop("a run id is 32 hex digits; see `synthmon history --json`")
    loaded = load((), settings or ())
    if loaded.errors:
        say_problems(loaded.errors)
        raise typer.Exit(3)
    known = loaded.settings.identities
    if pool and pool not in known:
        stop(f"the settings have no identity {pool}; there are {', '.join(known) or 'none'}")
    try:
        told = asyncio.run(_ask(loaded.settings, store or loaded.settings.store, run, pool))
    except LeasesUnavailable as error:
        stop(str(error))
    if as_json:
        print_json(told)
        return
    if not told:
        stop("the settings have no identities; see `synthmon explain identity`", 0)
    for one in told:
        _print_accounts(one) if one["kind"] == "accounts" else _print_invented(one)


async def _ask(settings: Any, store: str, run: str, pool: str) -> list[dict[str, Any]]:
    from datetime import UTC, datetime

    from synthmon.identities.open import open_leases
    from synthmon.runtime.house import journal_file
    from synthmon.runtime.roster import tell_identities

    leases = open_leases(store, journal_file(store))
    try:
        return await tell_identities(settings, leases, datetime.now(UTC), run, pool)
    finally:
        await leases.aclose()


def _print_invented(one: dict[str, Any]) -> None:
    _line(f"{one['name']}  invented, {one['locale']}, @{one['domain']}")
    if "person" not in one:
        _line(f"  {', '.join(one['fields'])}")
    for name, value in one.get("person", {}).items():
        _line(f"  {name:<14} {value}")


def _print_accounts(one: dict[str, Any]) -> None:
    secret = f", secret: {', '.join(one['secret_fields'])}" if one["secret_fields"] else ""
    most = f", at most {one['max_use']} uses each" if one["max_use"] else ""
    _line(f"{one['name']}  {len(one['accounts'])} accounts of {one['file']}, rest {one['cooldown_s']:g}s{most}{secret}")
    _line(f"  {'account':<24} {'state':<8} {'fence':>6} {'uses':>6}  held by")
    for account in one["accounts"]:
        held = f"run {account['run'][:12]} until {account['until']:%H:%M:%S} UTC" if account["run"] else ""
        free = f"free at {account['free_at']:%H:%M:%S} UTC" if account["free_at"] and not held else ""
        row = (
            f"  {account['name']:<24} {account['state']:<8} {account['fence']:>6} {account['used']:>6}  {held or free}"
        )
        _line(row.rstrip())


def _line(text: str) -> None:
    screen().print(text, markup=False, soft_wrap=True)
