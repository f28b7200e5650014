"""What `synthmon init` writes: a first probe that runs, and settings in which every key is explained."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from synthmon.core.errors import Invalid, Place, Problem
from synthmon.imports.draft import SCHEMA_LINE
from synthmon.imports.exchanges import BadUrl, taken_apart
from synthmon.imports.naming import system_name
from synthmon.imports.people import harmless
from synthmon.imports.sealing import Safe
from synthmon.imports.texts import written
from synthmon.language.yaml_text import scalar

DEMO = "http://127.0.0.1:9870"
PROBE, SETTINGS = "probes/first.yaml", "synthmon.yaml"


def starter_files(url: str = "") -> Mapping[str, str]:
    """Relative path → text. Without a URL the probe is for the demo shop, else it reads that URL.

    Whoever writes them keeps what is there already. Raises `Invalid` for a URL that cannot be asked for or that holds
    a secret.
    """
    if not url:
        return {PROBE: _DEMO_PROBE, SETTINGS: _settings("shop", DEMO, writes=True)}
    try:
        origin, path, _, user = taken_apart(url)
    except BadUrl as error:
        raise _refused(f"{url[:80]!r} cannot be asked for: {error}.") from None
    asked = "/" + "/".join(path)
    query = urlsplit(url.strip()).query
    if user or query or not isinstance(harmless(asked, Safe("first")), str):
        raise _refused("The URL holds a user, a query, or what may belong to somebody.")
    name = system_name(origin)
    return {PROBE: _url_probe(name, asked), SETTINGS: _settings(name, origin, writes=False)}


def _refused(fault: str) -> Invalid:
    return Invalid(
        [Problem(Place("url"), "init-url", fault, "Give the address of a page: https://shop.example.com/health.")]
    )


def _url_probe(system: str, path: str) -> str:
    return f"""{SCHEMA_LINE}
{_HEAD}
journey: first            # its name, in lower case; the label `journey` of its metrics
title: The first page answers, and quickly
every: 1m                 # or cron: "*/5 8-18 * * mon-fri" with timezone: Europe/Berlin
system: {system}          # who is tested: an entry under `systems:` in synthmon.yaml

steps:
  - id: page              # later steps read what it saves as page.<name>
    http: {scalar(f"GET {written(path)}")}
    timeout: 5s
    expect:               # each line is an expression and has to be true
      - status == 200
      - size(text) > 0
      - elapsed < duration("2s")
      # Better: something that only a right answer holds.
      # - body.status == "ok"
      # - css(text, "title") == "My shop"
{_NEXT}"""


_HEAD = """# A probe: what a user does, step by step, and what has to come of it. Try it:
#   synthmon check probes     finds every mistake, sends nothing
#   synthmon run probes       runs it once and tells every step
# Keys and functions: synthmon explain"""

_NEXT = """
  # More steps below this one. A write says how it is taken back, and the system has to allow it (`writes:`):
  # - id: order
  #   http: POST /orders
  #   json: {reference: "${run.namespace}"}
  #   expect:
  #     - status == 201
  #   save:
  #     id: body.id
  #   undo:
  #     http: DELETE /orders/${order.id}
"""

_DEMO_PROBE = f"""{SCHEMA_LINE}
{_HEAD}
# It is for the demo shop: `synthmon demo` (or `make demo`) opens it at {DEMO}.
journey: first            # its name, in lower case; the label `journey` of its metrics
title: Somebody buys a mug, and the order reaches the ledger
every: 30s                # or cron: "*/5 8-18 * * mon-fri" with timezone: Europe/Berlin
deadline: 15s             # of a whole run
system: shop              # who is tested: an entry under `systems:` in synthmon.yaml
identity: shopper         # as whom: a person invented for each run, under `identities:`
vars:
  reference: ${{run.namespace}}   # another in every run, so that runs do not meet

steps:
  - id: catalogue         # later steps read what it saves as catalogue.<name>
    http: GET /catalogue
    expect:               # each line is an expression and has to be true
      - status == 200
      - size(body.products) > 0
      - elapsed < duration("2s")
    save:
      sku: body.products[0].sku

  - id: order             # a write: it says how it is taken back
    http: POST /orders
    json:
      reference: ${{vars.reference}}
      sku: ${{catalogue.sku}}
      quantity: 1
      name: ${{identity.name}}
      email: ${{identity.email}}
    expect:
      - status == 202
      - body.reference == vars.reference
      - body.status == "placed"
    save:
      id: body.id
    undo:                 # runs at the end of every run, also after a crash
      http: DELETE /orders/${{order.id}}
      find:               # if the answer was lost: look for what was made
        http: GET /orders
        params: {{reference: "${{vars.reference}}"}}
        save:
          id: body.orders[0].id
    repeatable: true      # the shop honours Idempotency-Key

  - id: booked            # the effect comes later: ask again until it is there
    http: GET /ledger
    params: {{reference: "${{vars.reference}}"}}
    within: 5s after order
    expect:
      - status == 200
      - body.count == 1   # once, not twice
      - body.entries[0].orderId == order.id
"""


def _settings(system: str, base: str, writes: bool) -> str:
    write = "true " if writes else "false"
    person = "" if writes else "#"
    return f"""# Settings: who is tested, as whom, with which limits. Journeys name systems, never hosts, so that
# another environment is another settings file. Lines that begin with `#` and no blank are what else there is.

systems:
  {system}:
    base: {scalar(base)}
    writes: {write}           # false: GET, HEAD and OPTIONS only; or a list: ["POST /orders", "DELETE /orders/*"]
    rate: 5/s               # requests a second, over all journeys
    concurrency: 8          # requests in flight
    #allow: [shop.example.com, "*.pay.example.com"]   # hosts that may be reached; default: that of `base`
    #networks: [10.0.0.0/8]                 # needed if these names lead to private addresses
    #budget: {{runs: 1200/h, creates: 20000/d}}   # how much of it may be used, counted across restarts
    #replay: allow                          # whether old runs may be replayed against it
    #propagate: false                       # send no ids to strangers
    #follow: true                           # follow redirects
    #tls: {{ca: ca.pem}}                      # certificates that the public ones do not cover

{person}identities:
{person}  shopper:              # a new person in every run, who exists nowhere else
{person}    invent: [name, email]
{person}    locale: en_GB
{person}    domain: synthetic.example.com   # reserved for examples, or a sub-domain of yours
# Test accounts that exist are leased instead: clerk: {{accounts: clerks.yaml, cooldown: 30s}}

#connections:               # brokers, databases and mailboxes: `synthmon kinds` lists them
#  bus: {{nats: "nats://bus.example.com:4222", user: probe, password: "env:BUS_PASSWORD"}}

#evidence:                  # where that is found what other systems report, for `events:` and `verify`
#  logs: {{jsonl: /var/log/shop/*.jsonl, lag: 2s}}

#secrets:                   # by name, each a place; read as secret.<name>, shown as dots everywhere
#  api_token: env:API_TOKEN
#  signing_key: file:/run/secrets/signing_key
#vault: {{address: "https://vault.example.com", token: "env:VAULT_TOKEN"}}   # for vault:secret/data/shop#token
# A login that journeys share is a file of steps, named under `sessions:`.

#propagation:               # beside traceparent, baggage and X-Correlation-ID
#  headers: {{X-Request-ID: "${{run.id}}"}}

#defaults:                  # what journeys have if they say nothing
#  - journeys: ["*"]
#    owner: shop-oncall
#    alert: {{severity: page, after: 2}}
#    labels: {{team: shop}}

#quiet:                     # when nothing starts; shown as quiet, never as green
#  - {{cron: "0 2 * * sun", for: 2h, journeys: ["*"], timezone: UTC}}

#store: sqlite:///synthmon.db    # postgresql://… to share
#listen: 127.0.0.1:9880     # pages, API and metrics
#hooks: {{listen: "127.0.0.1:9881", url: "https://hooks.example.com"}}   # calls on us, and OTLP
#limits: {{concurrency: 200, grace: 30s}}
#retention: {{passed: 30d, failed: 90d}}
#location: eu              # the name of this place; `base` may differ by place
#instance: staging         # the name of this installation; two that test one system need different ones
#stop_file: /run/synthmon/stop   # while it is there, everything but clean-up stops
#web: {{token: env:SYNTHMON_TOKEN}}   # who may see the pages; without it only this machine
"""
