"""Plants forty canaries: secrets of every kind of reference, learnt ones, session tokens, passwords, cookies."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.canaries.target import Echo
from tests.servers.vault import VaultServer

KINDS = ("env", "file", "exec", "vault")
EACH = 6  # of every kind of reference
LEARNT = 6  # and as many cookies

SECRET = """
journey: {name}
every: 1h
system: target
steps:
  - id: call
    http: POST {path}?q=${{secret.{name_}}}
    headers: {{X-Canary: "${{secret.{name_}}}", Authorization: '${{basic("me", secret.{name_})}}'}}
    json: {{password: "${{secret.{name_}}}", padding: {padding}}}
    leaves: nothing
    timeout: 20s
    expect:
      - status == 418
      - text == ""
      - headers["x-echo"] == ""
"""
OWED = """
journey: {name}
every: 1h
system: target
steps:
  - id: make
    http: POST /things
    headers: {{X-Canary: "${{secret.{name_}}}"}}
    json: {{}}
    timeout: 20s
    expect:
      - status == 201
    save:
      link: body.link
    undo:
      http: DELETE ${{make.link}}
      ttl: 1h
    repeatable: true
"""
LEARNING = """
journey: {name}
every: 1h
system: target
steps:
  - id: before
    http: GET {path}
    timeout: 20s
    expect:
      - status == 200
  - id: login
    http: GET {path}
    timeout: 20s
    expect:
      - status == {status}
      - size(body.later) > 0
    save:
      token: secret(body.access_token)
  - id: call
    http: POST /echo
    headers: {{X-Canary: "${{login.token}}"}}
    json: {{}}
    leaves: nothing
    timeout: 20s
    expect:
      - text == ""
"""
SIGNED = """
journey: signed
every: 1h
system: target
auth: desk
steps:
  - id: call
    http: GET /echo
    timeout: 20s
    expect:
      - text == ""
"""
LOGIN = """
steps:
  - id: token
    http: GET /login
    expect:
      - status == 200
    save:
      value: secret(body.access_token)
"""


@dataclass
class Garden:
    """A folder with journeys and settings, and the canaries: what they are called and their values."""

    folder: Path
    canaries: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Path:
        return self.folder / "synthmon.yaml"

    @property
    def probes(self) -> Path:
        return self.folder / "probes"


def plant(folder: Path, echo: Echo, vault: VaultServer, few: bool = False) -> Garden:
    """Write everything down; `few` plants eleven, one or two of each kind."""
    each, learnt = (1, 2) if few else (EACH, LEARNT)
    garden, places = Garden(folder), dict[str, str]()
    garden.canaries["token of Vault"] = garden.environ["CANARY_VAULT_TOKEN"] = f"Vt-{_noise('vault')}"
    vault.tokens = {garden.canaries["token of Vault"]}
    (folder / "probes").mkdir()
    (folder / "say.py").write_text("import sys; print(open(sys.argv[1]).read())")
    for n, kind in enumerate(kind for kind in KINDS for _ in range(each)):
        name = f"{kind}-{n:02}"
        value = f'Kx{n:02}"v/{_noise(name)}+z='
        garden.canaries[name] = value
        places[name.replace("-", "_")] = _hide(garden, vault, kind, name, value)
        path = ("/echo", "/page", "/redirect")[n % 3]
        text = OWED if n % 6 == (1 if few else 5) else SECRET
        padding = "p" * (4096 - 150 + n if n % 2 else 10)  # so that cuts fall into the middle of what is repeated
        (folder / "probes" / f"{name}.yaml").write_text(
            text.format(name=name, name_=name.replace("-", "_"), path=path, padding=padding)
        )
    for n in range(learnt):
        name = f"learnt-{n:02}"
        token, cookie = f"Lt{n:02}-{_noise(name)}+/=z", f"Ck{n:02}-{_noise(name + 'c')}"
        garden.canaries |= {name: token, f"cookie-{n:02}": cookie}
        echo.handed[f"/hand/{n}"] = token, cookie
        text = LEARNING.format(name=name, path=f"/hand/{n}", status=200 if n % 2 else 418)
        (folder / "probes" / f"{name}.yaml").write_text(text)
    garden.canaries |= {"session": f"St-{_noise('session')}+/=z", "session cookie": f"Sc-{_noise('cookie')}00"}
    garden.canaries["account"] = f"Pw-{_noise('account')}+/=z"
    echo.handed["/login"] = garden.canaries["session"], garden.canaries["session cookie"]
    (folder / "probes" / "signed.yaml").write_text(SIGNED)
    (folder / "login.yaml").write_text(LOGIN)
    places["account"] = f"file:{folder / 'account.secret'}"
    (folder / "account.secret").write_text(garden.canaries["account"])
    account = SECRET.format(name="account", name_="account", path="/echo", padding="p")
    (folder / "probes" / "account.yaml").write_text(account)
    lines = [f"  {name}: '{place}'" for name, place in places.items()]
    garden.settings.write_text(
        f"""
systems: {{target: {{base: "{echo.url}", writes: true}}}}
vault: {{address: "{vault.url}", token: "env:CANARY_VAULT_TOKEN"}}
sessions:
  desk:
    call: login.yaml
    system: target
    headers: {{Authorization: "Bearer ${{token.value}}", X-Canary: "${{token.value}}"}}
secrets:
"""
        + "\n".join(lines)
    )
    return garden


def _hide(garden: Garden, vault: VaultServer, kind: str, name: str, value: str) -> str:
    """Put a value into its place; answers the reference."""
    file = garden.folder / f"{name}.secret"
    match kind:
        case "env":
            garden.environ[name.upper().replace("-", "_")] = value
            return f"env:{name.upper().replace('-', '_')}"
        case "file":
            file.write_text(value)
            return f"file:{file}"
        case "exec":
            file.write_text(value)
            return f"exec:{sys.executable} {garden.folder / 'say.py'} {file}"
    vault.put(f"secret/data/{name}", {"value": value})
    return f"vault:secret/data/{name}#value"


def _noise(name: str) -> str:
    """Letters that stand nowhere else."""
    return hashlib.sha256(name.encode()).hexdigest()[:18].translate(str.maketrans("0123456789", "qwrtyuiopk")) + "7"
