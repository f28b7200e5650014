"""`ftp_banner` reads what an FTP server says first (RFC 959), and says nothing itself.

```yaml
journey: files
every: 5m
system: shop
steps:
  - id: greeting
    ftp_banner: shop.example.com:21
    expect:
      - code == 220
      - text.contains("ready")
```

Offers: `code` of the reply, `text` of all its lines, `elapsed` from dialling to its last line.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Dial, Door, Envelope, Line, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Maker
from synthmon.core.outcomes import Reason
from synthmon.core.templates import Template
from synthmon.core.timing import Timing

LAST_LINE = re.compile(r"^([1-5]\d\d) .*\r\n", re.MULTILINE)  # those before it have a dash instead of the space
MOST_BYTES = 64 * 1024


class FtpBannerKeys(BaseModel):
    """The keys of an `ftp_banner` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ftp_banner: str = Field(description="Where to: `host:port`.")


@dataclass(frozen=True, slots=True)
class Banner:
    """What came."""

    text: str
    timing: Timing


@dataclass(frozen=True, slots=True, eq=False)
class FtpBannerSpec:
    """One greeting to be read (`core.journey.Spec`)."""

    place: Template
    kind: str = "ftp_banner"
    effect: bool = False  # it changes nothing, so no `undo` is asked for

    @property
    def refs(self) -> frozenset[str]:
        return self.place.refs

    def render(self, scope: Scope) -> str:
        return self.place.render_text(scope)

    def see(self, request: str, answer: Banner) -> Mapping[str, Any]:
        code = LAST_LINE.search(answer.text)
        elapsed = timedelta(milliseconds=answer.timing.total_ms)
        return {"code": int(code[1]) if code else 0, "text": answer.text, "elapsed": elapsed}

    def describe(self, request: str, answer: Banner | None) -> str:
        return f"FTP at {request}" + (f" → {answer.text[:3]}" if answer else "")

    def complaint(self, request: str, answer: Banner | None) -> str:
        return ""

    def excerpt(self, request: str, answer: Banner | None) -> tuple[str, str]:
        return self.describe(request, None), answer.text if answer else ""


_MANUAL = __doc__


class FtpBannerKind:
    """The kind of step that `ftp_banner:` chooses (`core.kinds.Performs`)."""

    word: str = "ftp_banner"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    via: Literal["system"] = "system"
    keys: type[BaseModel] = FtpBannerKeys
    offers: Mapping[str, str] = {"code": "int", "text": "string", "elapsed": "duration"}

    def compile(self, keys: FtpBannerKeys, make: Maker) -> FtpBannerSpec:
        if "${" not in keys.ftp_banner and not re.fullmatch(r"[^\s/]*:\d+", keys.ftp_banner):
            make.fault(("ftp_banner",), "bad-value", f"{keys.ftp_banner!r} is not a host and a port.", "Write host:21.")
        return FtpBannerSpec(make.template(keys.ftp_banner, ("ftp_banner",)))

    async def perform(self, request: str, door: Door, envelope: Envelope) -> Banner | Trouble:
        over_s = asyncio.get_running_loop().time() + envelope.timeout_s
        line = await door.dial(Dial(f"tcp://{request}"), envelope)  # the one way out: allow-list, rate, times
        if isinstance(line, Trouble):
            return line
        try:
            async with asyncio.timeout_at(over_s):
                return await _greeting(line)
        except (OSError, TimeoutError) as error:  # the line knows what it means
            return line.trouble(error)
        finally:
            await line.aclose()


KIND = FtpBannerKind()


async def _greeting(line: Line) -> Banner | Trouble:
    came = b""
    while not LAST_LINE.search(text := came.decode("utf-8", "replace")):
        data = await line.read()
        came += data
        if not data or len(came) > MOST_BYTES:
            return Trouble(Reason.BAD_ANSWER, "that is no greeting of an FTP server", timing=line.timing)
    return Banner(text, line.timing)
