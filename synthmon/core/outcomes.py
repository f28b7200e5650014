"""How a slot can end, for which reason, and whose fault that was."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Outcome(StrEnum):
    """The six ends of a slot; `scheduled` is exactly their sum."""

    PASSED = "passed"
    FLAKY = "flaky"  # passed, but only after a retry
    FAILED = "failed"  # the system under test is at fault
    UNKNOWN = "unknown"  # we are at fault, or nobody can say
    SKIPPED = "skipped"  # on purpose: nothing was measured
    MISSED = "missed"  # the slot passed without a run


class Reason(StrEnum):
    """Why a slot ended as it did: a bounded list, fit for a metric label."""

    NONE = ""
    # theirs
    EXPECTATION = "expectation"  # an answer came, and a check on it does not hold
    TIMEOUT = "timeout"  # silent until the limit of one attempt
    DEADLINE = "deadline"  # the whole run took too long
    LATE = "late"  # it held, but after `within`
    LOST = "lost"  # it never held while we looked
    DUPLICATE = "duplicate"
    ORDER = "order"
    REFUSED = "refused"  # nobody listens there
    UNREACHABLE = "unreachable"  # no route to the target, said by the network beyond us
    RESET = "reset"
    NO_ANSWER = "no_answer"  # closed before a byte of the answer
    BAD_ANSWER = "bad_answer"  # not HTTP, cut short, undecodable
    TLS = "tls"
    NO_SUCH_NAME = "no_such_name"  # the resolver answered: there is no such name
    TOO_LARGE = "response_too_large"
    CIRCUIT_OPEN = "circuit_open"  # not asked: nobody has got an answer there for a while
    # ours
    INTERRUPTED = "interrupted"
    LOOKED_TOO_LATE = "looked_too_late"
    NEVER_SENT = "never_sent"  # the step that `within … after` counts from never left
    DESCRIPTORS = "out_of_descriptors"
    PROHIBITED = "route_prohibited"  # our own host or network forbids it
    EGRESS_BLOCKED = "egress_blocked"  # our own allow-list forbids it
    RESOLVER = "resolver_dead"
    LOOP_STALLED = "loop_stalled"
    SATURATED = "saturated"  # our own limits kept the request from leaving in time
    JOURNAL_UNWRITABLE = "journal_unwritable"
    HISTORY_UNWRITABLE = "history_unwritable"
    UNCOUNTED = "budget_uncounted"  # what a run uses of a budget could not be written down before it
    FENCED = "fenced"
    NO_LISTENER = "no_listener"  # nothing listens here for the calls that a step awaits
    BROWSER = "browser"  # our own browser is missing, did not start, or ended meanwhile
    CONNECTION = "connection"  # a broker or database that is not itself under test cannot be used
    EVIDENCE = "evidence"  # a source of evidence is down, behind, or its clocks leave the order open
    TOO_MANY = "too_many"  # more came than is kept
    NO_IDENTITY = "no_identity"
    MISSING_SECRET = "missing_secret"
    UNSAFE_VALUE = "unsafe_value"  # what was to be sent may belong to a real person: it did not leave
    EXPRESSION = "expression"  # a value to send or save could not be computed
    UNVERIFIED = "unverified"  # it ran, and no check was evaluated
    BROKEN = "internal_error"  # a defect in synthmon
    # skipped
    QUIET = "quiet"
    PAUSED = "paused"
    WHEN = "when"  # every step that could check something was skipped by `when`
    BUDGET = "budget"  # as much of the system was used as the settings allow
    DEBTS = "debts"  # too many open debts
    # missed
    OVERLAP = "overlap"  # the run before was still going
    DOWN = "down"  # the daemon was not running
    PREPARED = "prepared"  # claimed, then the daemon ended before the first act
    LATE_BELL = "late_bell"  # the bell rang so late that a newer slot was due
    BACKLOG = "backlog"  # no free place to run in until the next slot


_THEIRS = frozenset(
    {
        Reason.EXPECTATION,
        Reason.TIMEOUT,
        Reason.DEADLINE,
        Reason.LATE,
        Reason.LOST,
        Reason.DUPLICATE,
        Reason.ORDER,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.RESET,
        Reason.NO_ANSWER,
        Reason.BAD_ANSWER,
        Reason.TLS,
        Reason.NO_SUCH_NAME,
        Reason.TOO_LARGE,
        Reason.CIRCUIT_OPEN,
    }
)


def whose(reason: Reason) -> Literal["theirs", "ours"]:
    """Whose fault a reason names; everything that is not surely theirs is ours."""
    return "theirs" if reason in _THEIRS else "ours"


def outcome_of(reason: Reason) -> Outcome:
    """The outcome of a run that ended for `reason` (not for the reasons of skipped and missed slots)."""
    if reason is Reason.NONE:
        return Outcome.PASSED
    return Outcome.FAILED if whose(reason) == "theirs" else Outcome.UNKNOWN
