"""Every code that stands behind a problem: what it means, and what helps. `synthmon explain CODE` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """The meaning of a code in one line, and what usually helps."""

    means: str
    remedy: str
    warning: bool = False


def _error(means: str, remedy: str) -> Code:
    return Code(means, remedy)


def _warning(means: str, remedy: str) -> Code:
    return Code(means, remedy, True)


CODES: Mapping[str, Code] = MappingProxyType(
    {
        # the file
        "unreadable-file": _error(
            "A file is missing, forbidden, or larger than 1 MiB.",
            "Correct the path; in a probe it is relative to the probe.",
        ),
        "no-journey": _error("A file has nothing in it.", "Begin with `journey: a-name`."),
        "yaml": _error("The file is not YAML.", "Check indentation, quotes and brackets at the place."),
        "yaml-quote": _error(
            "YAML reads an expression or a `${…}` as something else.", "Put the whole text in quotes."
        ),
        "yaml-key": _error("A key is a number, a boolean, null, a list or a map.", "Write it as a word, or in quotes."),
        "yaml-tag": _error("A YAML tag such as !!python/object.", "Remove it."),
        "yaml-alias": _error(
            "An alias without an anchor before it, or an anchor set twice.", "Define the anchor once, above."
        ),
        "yaml-number": _error(
            "A number that JSON or a check cannot hold: .inf, .nan, more than 64 bits.",
            "Put it in quotes if it is a text.",
        ),
        "yaml-too-large": _error("The file is larger than 1 MiB.", "Split it."),
        "yaml-too-many": _error(
            "The file stands for too many values, aliases counted each time.", "Split it, or use fewer aliases."
        ),
        "yaml-too-deep": _error("Values nest too deep.", "Flatten them."),
        "duplicate-key": _error("A key stands twice in one map.", "Remove one."),
        "digits-lost": Code("A number has zeros in front, which are lost.", "Put it in quotes if it is a text.", True),
        # keys and values
        "unknown-key": _error(
            "The language has no such key at this place.", "`synthmon explain` lists the keys of each place."
        ),
        "missing-key": _error("A key that must be there is not.", "Add it."),
        "not-yet": _error("A part of the language that this version cannot do.", "Leave it out."),
        "wrong-type": _error(
            "A value has the wrong form: a text where a list stands, for instance.",
            "Write it in the form that is named.",
        ),
        "unknown-word": _error("A value is not one of the words that fit.", "Use one of those named."),
        "out-of-range": _error("A number is too small or too large.", "Stay within the bounds named."),
        "empty": _error("A list, a map or a text is empty.", "Fill it, or remove the key."),
        "bad-name": _error(
            "A name has letters that it may not have, or is taken by the language.",
            "Use small letters, digits and _ (journeys: -).",
        ),
        "bad-duration": _error("Not a duration.", "A number and a unit: 300ms, 30s, 5m, 1h, 30d."),
        "bad-percentage": _error("Not a percentage between 0% and 100%.", "Write 99.5%."),
        "bad-rate": _error("Not a rate.", "A number a second, minute, hour or day: 5/s, 2000/d."),
        "bad-value": _error(
            "A value of `vars` or `with` that cannot be used there.", "Write a text, a number or a boolean."
        ),
        # the schedule
        "no-schedule": _error("Nothing says when the journey runs.", "Add `every:` or `cron:`."),
        "two-schedules": _error("Both `every` and `cron` are given.", "Keep one."),
        "every-too-short": _error("It would run more often than once a second.", "Run it less often."),
        "bad-cron": _error(
            "Not a schedule of five fields.", "minute hour day month weekday, weekdays by name: */5 8-18 * * mon-fri."
        ),
        "cron-days": _warning(
            "Day and weekday are both given: it runs when either fits.", "Put `*` in one of them if both are meant."
        ),
        "bad-timezone": _error("Not an IANA time zone.", "Write Europe/Berlin, for instance."),
        "unused-timezone": _error("`timezone` without `cron`.", "Remove it."),
        "local-time-gap": _warning(
            "The local time does not exist on the day on which clocks are put forward.", "Choose another time, or UTC."
        ),
        "deadline-over-interval": _warning(
            "A run may take longer than the time to the next one.", "Shorten `deadline`, or run less often."
        ),
        "deadline-over-grace": _warning(
            "A run may take longer than a shutdown waits.", "Shorten `deadline`, or raise `limits: {grace: …}`."
        ),
        "within-over-deadline": _warning(
            "A step may wait longer than the whole run may take.", "Raise `deadline`, or shorten `within`."
        ),
        "duplicate-location": _error("A location is listed twice.", "Remove one."),
        "alert-never": _warning("The alert waits for more locations than there are.", "Lower it."),
        "duplicate-journey": _error("Two journeys have one name.", "Rename one; the place names both."),
        # steps
        "no-kind": _error(
            "Nothing says what a step does.", "Add one key that chooses a kind: http, together, call, pause."
        ),
        "broken-kind": _error(
            "What another package adds to the language cannot be used.",
            "Repair or uninstall that package; `synthmon kinds` says why.",
        ),
        "two-kinds": _error("Two keys say what a step does.", "Make two steps."),
        "bad-nesting": _error("A group of steps stands where one step must.", "Write one step."),
        "duplicate-step": _error("Two steps have one id.", "Rename one."),
        "no-check": _error("A step checks nothing, so it could never fail.", "Add `expect:`."),
        "not-a-check": _error(
            "An expression of `expect` or `when` is not true or false.", "Compare it with something."
        ),
        "constant-check": _error("A check does not look at the answer.", "Compare status, headers, body, …"),
        "write-without-undo": _error("A write, and nothing says how it is taken back.", "Add `undo:` or `leaves:`."),
        "write-not-allowed": _error(
            "A write to a system that may only be read.", "Set `writes: true` for it in the settings."
        ),
        "polling-a-write": _error(
            "`within` repeats a write.", "Add `repeatable: true` or `leaves: nothing`, or poll a read."
        ),
        "retrying-a-write": _error("`retry` repeats a write.", "Add `repeatable: true` or `leaves: nothing`."),
        "undo-of-a-read": _error("`undo` or `leaves` on a step that changes nothing.", "Remove it."),
        "undo-without-find": _warning(
            "If the answer is lost, nothing tells what to undo.", "Add `find:` or `repeatable: true`."
        ),
        "find-misses-value": _error("`find` does not save a value that `undo` needs.", "Save it there."),
        "find-saves-nothing": _error("`find` saves nothing.", "Add `save:`."),
        "look-writes": _error("`find` or `gone` changes the system.", "Use a read."),
        "secret-in-undo": _error("An undo needs a secret that only the run knew.", "Log in by a session: `auth:`."),
        "after-unknown-step": _error("`after` names no earlier step that sends something.", "Name one."),
        "after-later-step": _error("`after` names a step that is not surely sent before.", "Name an earlier one."),
        "needs-within": _error("`poll` or `grace` without `within`.", "Add `within:`."),
        "pause-instead-of-within": _warning(
            "A pause is too short or too long.", "Use `within:` on the step that waits."
        ),
        "unsafe-literal": _error(
            "A text looks like a real card, account, address or key.",
            "Use `identity.*`, a reserved value, or a secret.",
        ),
        "plain-secret": _warning(
            "A text is sent under the name of a secret, and written into the probe.", "Use `${secret.NAME}`."
        ),
        # expressions
        "not-an-expression": _error("An expression is empty or not a text.", "Write CEL: status == 201."),
        "bad-expression": _error("Not an expression of CEL.", "The remedy at the place names the usual slip."),
        "bad-constant": _error(
            'A constant that has no value: duration("14d").', "Correct it; for days write days(14)."
        ),
        "undeclared-name": _error("No such name at this place.", "`synthmon explain names` lists them."),
        "no-value-yet": _error("A name that a later step, or one at the same time, saves.", "Move the step."),
        "type-mismatch": _error(
            "Types that do not go together: a number and a text.", "Write both alike, or convert: string(…), int(…)."
        ),
        "wrong-arguments": _error(
            "A function with arguments that it does not take.", "`synthmon explain functions` lists them."
        ),
        "unknown-function": _error("No such function.", "`synthmon explain functions` lists them."),
        "cannot-join": _error(
            "A list, a map or bytes inside a longer text.", "Join a value of it, or let `${…}` stand alone."
        ),
        "secret-misuse": _error(
            "A secret outside of a text that is sent.", "Join it to a text, or use basic() or hmac_sha256()."
        ),
        "header-case": _error("A header name with capitals: they are in lower case here.", 'headers["content-type"].'),
        "comparison-never-true": _warning("A comparison that cannot hold.", "Write both sides alike."),
        # calls and cases
        "not-steps": _error("A called file is not one map with `steps:`.", "Put the steps into one document."),
        "endless-call": _error("A file calls itself in the end.", "Remove one of the calls."),
        "unused-value": _error("`with` gives a value that the called file does not read.", "Correct the name."),
        "bad-cases": _error("`cases` is not a map of maps.", "small: {amount: …}"),
        "too-many-cases": _error("More than 200 cases.", "Write several journeys."),
        # what the settings say
        "no-system": _error("A relative address, and no system.", "Add `system:`."),
        "unknown-system": _error("The settings have no such system.", "Correct the name, or add it."),
        "host-not-allowed": _error(
            "A host that is not one of the system.", "Add it to `allow:`, or name another system."
        ),
        "two-hosts": _error("Without settings a journey may read one host.", "Name systems in synthmon.yaml."),
        "no-base": _error("A system has no address for a location.", "Add it to `base:`."),
        "sweep-misses-value": _error(
            "An undo needs what `sweep` does not save, or what nobody knows after the run.",
            "Save it in `sweep` from `item`; use no `vars` in such an undo.",
        ),
        "bad-sweep": _error(
            "A part of `sweep` has the wrong form, or does not look at `item`.",
            "each: body.items, tag: item.reference, at: timestamp(item.created)",
        ),
        "unknown-identity": _error("The settings have no such identity.", "Correct the name, or add it."),
        "unknown-connection": _error("The settings have no such connection.", "Correct the name, or add it."),
        "no-connection-kind": _error(
            "A connection does not say what it connects to, or says two things.", "{nats: nats://host:4222}"
        ),
        "bad-connection": _error("The address of a connection cannot be one.", "`synthmon explain nats` shows one."),
        "no-evidence-kind": _error(
            "A source of evidence does not say where it is, or says two things.", "{jsonl: /var/log/shop/*.jsonl}"
        ),
        "unknown-evidence": _error("The settings have no such source of evidence.", "Correct the name, or add it."),
        "unknown-event": _error("A clause is about an event that has no entry in `events`.", "Add it to `events:`."),
        "bad-clause": _error(
            "A clause promises nothing, two things, or something that its source cannot tell.",
            "`synthmon explain clause` lists the words.",
        ),
        "missing-extra": _error(
            "A kind of step or connection needs a library that is not installed.",
            "Install the extra that `synthmon kinds` names: pip install 'synthmon[nats]'.",
        ),
        "cannot-do": _error(
            "A connection, or a kind of step, cannot do what is asked of it here.", "`synthmon kinds` tells what can."
        ),
        "message-place": _error(
            "A message needs other words for its place than these.", "`synthmon explain nats` names them."
        ),
        "query-params": _error(
            "A name in a query without its value, or a value without its name.",
            "Name the same in `sql` (`:name`) and in `params`.",
        ),
        "query-text": _error(
            "The text of a query cannot be meant: `${…}` in it would be a part of the SQL.",
            "Write `:name` there and put the value into `params`.",
        ),
        "unknown-session": _error("The settings have no such session.", "Correct the name, or add it."),
        "bad-base": _error("Not an absolute URL.", "https://host"),
        "bad-secret": _error("A secret is written into the settings.", "Name its place: env:NAME or file:/path."),
        "bad-vault": _error("No way, or two ways, to log in to Vault.", "Give one."),
        "short-secret": _error("A secret of fewer than 8 characters cannot be masked safely.", "Use a longer one."),
        "bad-identity": _error("Neither or both of `invent` and `accounts`.", "Give one."),
        "unsafe-field": _error(
            "A field that cannot be invented without reaching a real person.",
            "Leave it out; the remedy names what is safe.",
        ),
        "bad-accounts": _error("Not a list of accounts with the same fields.", "- {name: a, email: a@example.com}"),
        "bad-listen": _error("Not an address and a port.", "127.0.0.1:9880"),
        "budget-exceeded": _warning(
            "All journeys together use more of a system than its budget.", "Raise it, or run less often."
        ),
        # the kinds that speak other protocols
        "browser-url": _error("`browser` is no address of a page.", "/path, or https://host/path."),
        "browser-action": _error("An item of `do` does nothing, or two things.", "One of its words in each item."),
        "browser-without": _error("An entry of `without` is no host.", "stats.example.com, or a path behind it."),
        "missing-program": _warning(
            "The program that a kind of step starts is not on this machine.", "Install it where journeys run."
        ),
        "tcp-place": _error("`tcp` is no host and port.", "host:443, or :443 at the system's host."),
        "websocket-url": _error("`websocket` is no address of one.", "wss://host/path, or /path behind the base."),
        "sse-url": _error("`sse` is no address of HTTP.", "https://host/path, or /path behind the base."),
        "dns-name": _error("No name, or no address of a server, that can be asked.", "shop.example.com, 192.0.2.53"),
        "grpc-method": _error("`grpc` names no method that can be called.", "shop.Orders/Get"),
        # the kind http
        "http-method": _error("`http` does not begin with a method.", "GET /path"),
        "http-url": _error("`http` has no URL.", "GET /path"),
        "http-fragment": _error("A fragment (#…) never leaves the client.", "Leave it out."),
        "http-bodies": _error("A request with two bodies.", "Keep one of json, body, form."),
        "no-hooks": _error(
            "A step awaits calls, and the settings have no `hooks`.",
            "hooks: {listen: 127.0.0.1:9881, url: https://host}",
        ),
        "hook-method": _error("`hook` awaits another method than these.", "hook: POST"),
        "hook-reply": _error("A reply with a status that has no body, and a body.", "Leave the body out."),
        "hook-key": _error("The key of a hook is written into the journey.", 'hmac: "${secret.webhook_key}"'),
        "shared-address": _error(
            "A mailbox address that all runs share, and nothing says whose mail is meant.", "Add `where:`."
        ),
        "http-header": _error("A header that the client sets itself, or no header name.", "Leave it out."),
    }
)
