"""What a browser adds by itself and nobody means: headers, assets, and hosts that only count visitors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from synthmon.core.headers import why_not
from synthmon.imports.texts import Value

_SET_BY_US = frozenset(
    "user-agent traceparent tracestate baggage x-correlation-id x-request-id x-amzn-trace-id idempotency-key "
    "accept-encoding".split()
)
_OF_A_BROWSER = frozenset(
    "accept-language cache-control pragma priority dnt origin referer upgrade-insecure-requests if-none-match "
    "if-modified-since x-client-data x-requested-with save-data downlink dpr ect rtt device-memory viewport-width "
    "access-control-request-method access-control-request-headers purpose alt-used".split()
)
_PREFIXES = ("sec-", ":", "x-b3-", "x-datadog-", "sentry-", "x-newrelic", "newrelic")

_ASSET_TYPES = re.compile(
    r"(image|font|video|audio|text/css|(text|application)/(x-)?javascript|application/(wasm|font|x-font))"
)
_ASSET_ENDINGS = re.compile(
    r"\.(png|jpe?g|gif|svg|ico|webp|avif|css|m?js|map|woff2?|ttf|eot|otf|mp[34]|webm|wasm)$", re.IGNORECASE
)
_CALLS = frozenset(("document", "xhr", "fetch", "other", ""))

_VISITOR_COUNTERS = (
    "google-analytics.com googletagmanager.com analytics.google.com doubleclick.net googlesyndication.com "
    "googleadservices.com facebook.net connect.facebook.com hotjar.com hotjar.io segment.io segment.com mixpanel.com "
    "amplitude.com fullstory.com clarity.ms newrelic.com nr-data.net sentry.io bugsnag.com datadoghq.com datadoghq.eu "
    "browser-intake-datadoghq.com heapanalytics.com intercom.io intercomcdn.com optimizely.com matomo.cloud "
    "plausible.io cookielaw.org onetrust.com bat.bing.com scorecardresearch.com quantserve.com criteo.com taboola.com "
    "outbrain.com logrocket.io lr-ingest.io launchdarkly.com statsig.com posthog.com adnxs.com crazyegg.com "
    "mouseflow.com cloudflareinsights.com fonts.googleapis.com fonts.gstatic.com gstatic.com"
).split()


def meant_headers(headers: Mapping[str, Value]) -> dict[str, Value]:
    """The headers that somebody meant, in their order."""
    browser = any(name.lower().startswith("sec-") for name in headers) or any(
        name.lower() == "user-agent" and str(value).startswith("Mozilla/") for name, value in headers.items()
    )
    return {name: value for name, value in headers.items() if _meant(name.lower(), value, browser)}


def _meant(name: str, value: Value, browser: bool) -> bool:
    if name == "user-agent" and not str(value).startswith("Mozilla/"):
        return not str(value).lower().startswith("curl/")
    if why_not(name) or name in _SET_BY_US or name.startswith(_PREFIXES) or (name == "accept" and value == "*/*"):
        return False
    return not (browser and name in _OF_A_BROWSER)


def is_asset(kind: str, resource: str, path: str) -> bool:
    """Whether an answer is a picture, a font, a style or a script. `kind` is its media type, `resource` what the
    browser calls it, if it says so."""
    if resource.lower() not in _CALLS:
        return True
    return bool(_ASSET_TYPES.match(kind.lower())) or (not kind and bool(_ASSET_ENDINGS.search(path)))


def counts_visitors(host: str) -> bool:
    """Whether a host belongs to a service that watches visitors or serves fonts."""
    return any(host == name or host.endswith(f".{name}") for name in _VISITOR_COUNTERS)
