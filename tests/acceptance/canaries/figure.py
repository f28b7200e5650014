"""How many of forty canaries are seen: `python -m tests.acceptance.canaries.figure`."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.canaries.plant import plant
from tests.acceptance.canaries.surfaces import surfaces
from tests.acceptance.canaries.target import echoing, written
from tests.servers.vault import serving_vault


@dataclass
class Figure:
    """What was looked at, and what was found."""

    canaries: int
    encodings: int
    arrived: int = 0
    surfaces: dict[str, int] = field(default_factory=dict)  # name → bytes
    hits: list[tuple[str, str, str]] = field(default_factory=list)  # surface, canary, encoding


def measure(folder: Path, few: bool = False) -> Figure:
    """Plant, run, look at every surface."""
    with echoing() as echo, serving_vault() as vault:
        garden = plant(folder, echo, vault, few)
        figure = Figure(len(garden.canaries), len(written("x")))
        for surface, content in surfaces(garden, echo, few):
            figure.surfaces[surface] = len(content)
            for name, value in garden.canaries.items():
                figure.hits += [
                    (surface, name, encoding)
                    for encoding, form in written(value).items()
                    if _decided(encoding, form).encode() in content
                ]
        figure.arrived = len(echo.seen & set(garden.canaries.values()))
    return figure


def _decided(encoding: str, form: str) -> str:
    """Of base64 the characters that the secret alone decides: those at the ends belong to its neighbours too."""
    return form[8:-4] if encoding.startswith(("base64", "basic")) else form


def main() -> None:
    """Print the figure; 1 when anything was seen."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figure = measure(Path(folder))
    for surface, size in figure.surfaces.items():
        print(f"{surface:45} {size:>10} bytes")
    for hit in figure.hits[:60]:
        print("SEEN", *hit, sep="   ")
    counted = f"{figure.canaries} canaries x {len(figure.surfaces)} surfaces x {figure.encodings} encodings"
    took_s = time.monotonic() - began_s
    print(f"{counted}: {len(figure.hits)} hits ({figure.arrived} were repeated by the target; {took_s:.0f} s)")
    sys.exit(bool(figure.hits))


if __name__ == "__main__":
    main()
