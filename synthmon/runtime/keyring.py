"""The secrets of the settings while a daemon runs: read at the start, read again when they may have changed."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog

from synthmon.core.blots import Blots
from synthmon.core.secrets import SHORTEST, Vault
from synthmon.language.settings import VaultServer
from synthmon.runtime.doors import Doors
from synthmon.runtime.places.vault import VaultClient, VaultFault, field_of
from synthmon.runtime.references import SLOW, resolve, too_short

REFRESH_S = 300.0
LOOK_S = 5.0  # how often files are read again
REMEMBER_S = 86_400.0  # how long a value that was replaced is still blotted out
MOST_REMEMBERED = 200

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Key:
    """One secret: its place, its last good value, why the last look brought none, when to look again."""

    reference: str
    value: str = field(default="", repr=False)
    fault: str = ""
    next_s: float = 0.0


class Keyring:
    """Gives each run the values of its beginning. A place that fails keeps its last good value, and `faults` says so.

    `take` reads what is quick (`env:`, `file:`) at once; `fetch` reads `exec:` and `vault:`; `watch` does both again
    as long as the daemon lives. A value that was replaced stays blotted out for a day: an answer may still show it.
    """

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._keys: dict[str, _Key] = {}
        self._client: VaultClient | None = None
        self._refresh_s = REFRESH_S
        self._replaced: dict[str, float] = {}  # value → when it is forgotten
        self._values: Mapping[str, str] = {}  # handle word → value
        self._blots = Blots()
        self._vaults: weakref.WeakSet[Vault] = weakref.WeakSet()
        self._fetching = asyncio.Lock()

    def take(
        self,
        references: Mapping[str, str],
        literals: Mapping[str, str] = MappingProxyType({}),
        server: VaultServer | None = None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        """These are the secrets from now on, those of `literals` with their values (of accounts: nothing to read).

        A name whose place has changed begins anew; the others keep their value.
        """
        if server is None or self._client is None or self._client.server != server:
            self._client = VaultClient(server, self._doors) if server is not None else None
        self._refresh_s = refresh_s
        before, self._keys = self._keys, {}
        for name, reference in references.items():
            key = before.get(name)
            if key is not None and key.reference == reference:
                self._keys[name] = key
                key.next_s = 0.0
            else:
                self._keys[name] = _Key(reference, fault=f"{reference} has not been read yet")
        for name, value in literals.items():
            self._keys[name] = _Key("", value)
        for name, key in before.items():
            if self._keys.get(name) is not key:
                self._replace(key.value)
        quick = self._quick()
        self._note_quick(quick, *resolve(quick))

    async def fetch(self) -> None:
        """Read what is due of the places that take time."""
        async with self._fetching:
            now_s = time.monotonic()
            due = {
                name: key for name, key in self._keys.items() if key.reference.startswith(SLOW) and key.next_s <= now_s
            }
            commands = {name: key.reference for name, key in due.items() if key.reference.startswith("exec:")}
            in_vault = {name: key.reference for name, key in due.items() if key.reference.startswith("vault:")}
            try:
                await asyncio.gather(self._run(commands), self._ask_vault(in_vault))
            finally:
                self._blot()

    async def watch(self) -> None:
        """Look again and again; never returns."""
        while True:
            await asyncio.sleep(LOOK_S)
            quick = self._quick()
            self._note_quick(quick, *await asyncio.to_thread(resolve, quick))
            await self.fetch()

    def vault(self) -> Vault:
        """The values of now, for one run."""
        made = Vault(self._values, self._blots)
        self._vaults.add(made)
        return made

    @property
    def faults(self) -> Mapping[str, str]:
        """Name → why the last look brought no value."""
        return {name: key.fault for name, key in self._keys.items() if key.fault}

    def redact(self, text: str) -> str:
        """The text without any secret that this process knows, those of the runs under way included."""
        text = self._blots.redact(text)
        for vault in tuple(self._vaults):
            if vault.hides:
                text = vault.redact(text)
        return text

    def remember(self, values: Iterable[str]) -> None:
        """Blot these out as well, for a day: what a login brought."""
        for value in values:
            self._replace(value)
        self._blot()

    def _quick(self) -> Mapping[str, str]:
        return {
            name: key.reference
            for name, key in self._keys.items()
            if key.reference and not key.reference.startswith(SLOW)
        }

    def _note_quick(self, quick: Mapping[str, str], values: Mapping[str, str], faults: Mapping[str, str]) -> None:
        for name, reference in quick.items():
            self._note(name, reference, values.get(name, ""), faults.get(name, ""))
        self._blot()

    async def _run(self, references: Mapping[str, str]) -> None:
        for name, reference in references.items():  # one after the other: a herd of programs helps nobody
            values, faults = await asyncio.to_thread(resolve, {name: reference})
            self._note(name, reference, values.get(name, ""), faults.get(name, ""), self._refresh_s)

    async def _ask_vault(self, references: Mapping[str, str]) -> None:
        if not references:
            return
        if self._client is None:
            for name, reference in references.items():
                self._note(name, reference, "", "the settings have no `vault:`")
            return
        places = {name: reference.removeprefix("vault:").partition("#")[::2] for name, reference in references.items()}
        found = await self._client.read(dict.fromkeys(path for path, _ in places.values()))
        for name, (path, word) in places.items():
            leased, value, fault, rest_s = found[path], "", "", self._refresh_s
            try:
                if isinstance(leased, VaultFault):
                    raise leased
                value = field_of(leased, word, path)
                if leased.until_s is not None:
                    rest_s = max(leased.until_s - time.monotonic(), 1.0)
            except VaultFault as error:
                fault = str(error)
            self._note(name, references[name], value, fault, rest_s)

    def _note(self, name: str, reference: str, value: str, fault: str, rest_s: float = 0.0) -> None:
        """What a look at a place brought."""
        key = self._keys.get(name)
        if key is None or key.reference != reference:
            return  # the settings changed meanwhile
        if not fault and len(value) < SHORTEST:
            fault = too_short(reference)
        if fault and fault != key.fault:
            kept = "its last value goes on" if key.value else "what uses it is unknown(missing_secret)"
            _log.warning("a secret cannot be read", secret=name, fault=fault, then=kept)
        key.fault = fault
        key.next_s = time.monotonic() + (min(rest_s, 2 * LOOK_S) if fault else rest_s)
        if fault or value == key.value:
            return
        if key.value:
            _log.info("a secret has a new value", secret=name)
            self._replace(key.value)
        key.value = value

    def _replace(self, value: str) -> None:
        if value:
            self._replaced[value] = time.monotonic() + REMEMBER_S

    def _blot(self) -> None:
        """Know how to find every value of now and of the last day."""
        now_s = time.monotonic()
        late = sorted(self._replaced.items(), key=lambda pair: pair[1])[-MOST_REMEMBERED:]
        self._replaced = {value: until_s for value, until_s in late if until_s > now_s}
        self._values = {f"secret.{name}": key.value for name, key in self._keys.items() if key.value}
        values = frozenset((*self._replaced, *self._values.values()))
        if values != self._blots.values:
            self._blots = Blots(values)
