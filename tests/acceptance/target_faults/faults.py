"""The faults by name: what each does in one sentence, and which of the shipped journeys meet it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.target_faults import reads, writes
from tests.acceptance.target_faults.past import Past
from tests.acceptance.target_faults.proxy import Act

ALL = frozenset(
    "checkout-under-load correlation order-confirmation-mail order-deletion order-shipment order-to-ledger "
    "payment-integrity signup-onboarding stock-freshness "
    "order-sequence order-messages order-callback order-books order-mail order-trace signup-sequence".split()
)
ORDERS = ALL - {"signup-onboarding", "signup-sequence"}
TOLD = frozenset(
    "order-sequence order-messages order-callback order-books order-mail order-trace signup-sequence".split()
)
READS = ALL - TOLD  # those ask the shop nothing by HTTP
AMOUNTS = READS - {"correlation", "stock-freshness"}  # they read an amount of something that was done
READ_LISTS = READS - {"stock-freshness"}  # they read a list by reference, address or correlation id


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of being wrong. `meets`: who is answered otherwise than the shop would have, so who has to turn red.

    `equivalent` says in words why nobody can tell it from no fault; then everyone has to stay green.
    """

    name: str
    does: str
    make: Callable[[Past], Act]
    meets: frozenset[str] = ALL
    equivalent: str = ""


def _always(act: Act) -> Callable[[Past], Act]:
    return lambda past: act


FAULTS: tuple[Fault, ...] = (
    # creates
    Fault("500_on_create", "A create is answered 500 and not stored.", _always(writes.error_500())),
    Fault("200_error_body", "A create gets a status of success, with an error inside.", _always(writes.error_body())),
    Fault("200_success_false", "A create gets a status of success and success: false", _always(writes.success_false())),
    Fault("200_empty_body", "A create is done and answered with no body.", _always(writes.empty_body)),
    Fault("200_html_login", "Everything is answered 200 with a login page.", _always(writes.login_page())),
    Fault("302_to_login", "Everything is redirected to a login page.", _always(writes.login_redirect())),
    Fault("conn_reset", "A create is done, and the connection breaks before its answer.", _always(writes.reset)),
    Fault("timeout", "A create is done and never answered.", _always(writes.silence)),
    Fault("slow_drip", "The answer to a create comes one byte at a time.", _always(writes.drip)),
    Fault("slow_10x", "A create takes 2.5 s.", _always(writes.slow)),
    Fault("cached_previous_response", "A create gets the answer of yesterday's customer.", writes.answer_of_the_past),
    Fault("create_without_id", "The answer to a create does not name what was made.", _always(writes.without_id)),
    Fault("lost_write", "A create is answered well and never stored.", _always(writes.lost_write)),
    Fault("pending_forever", "A create is stored, and no function ever takes it up.", _always(writes.pending)),
    Fault("event_late", "The functions begin six seconds late.", _always(writes.late)),
    Fault("async_failed", "An order is taken and ends as out of stock.", _always(writes.ends_out_of_stock), ORDERS),
    Fault("duplicate_effect", "A create is done twice.", _always(writes.twice)),
    Fault(
        "idempotency_broken",
        "A create that is sent again under the same Idempotency-Key is done again.",
        _always(writes.keys_ignored),
        frozenset({"payment-integrity"}),
    ),
    # reads
    Fault("truncated_json", "The body of a read ends in its middle.", _always(reads.truncated), READS),
    Fault("json_nan", "The body of a read holds NaN, which is no JSON.", _always(reads.nan), READS),
    Fault("json_duplicate_keys", "The body of a read has one key twice.", _always(reads.duplicate_keys), READS),
    Fault("event_missing", "Nothing that should follow is there; the order itself looks well.",
          _always(reads.event_missing), READ_LISTS),
    Fault("stale_event", "The rows are those of yesterday's customer under this run's ids.",
          reads.event_of_the_past, READ_LISTS),
    Fault("stale_read", "Reads come from a cache that was filled before this run.", reads.stale, READS),
    Fault("other_customers_row", "Lists have a row of another customer too.", reads.row_of_another, READ_LISTS),
    Fault("partial_list", "Lists lack their newest row; count and the rest look well.",
          _always(reads.partial_list), READS),
    Fault("wrong_reference", "Rows carry the reference of another customer.", _always(reads.wrong_reference), READS),
    Fault("wrong_correlation", "Rows carry the correlation id of another run.",
          _always(reads.wrong_correlation), READS),
    Fault("wrong_amount", "Amounts are ten too high after the create.", _always(reads.wrong_amount), AMOUNTS),
    Fault("wrong_currency", "Amounts are in USD after the create.", _always(reads.wrong_currency),
          AMOUNTS - {"signup-onboarding"}),
    Fault("status_regression", "What was seen as done is seen as new again.", _always(reads.status_regression),
          frozenset({"order-shipment", "signup-onboarding"})),
    # deletes
    Fault("delete_lies", "A delete is answered 204, and nothing happens.", _always(writes.delete_lies)),
    Fault("orphans_after_delete", "A deleted order leaves its entry in the ledger.", _always(reads.orphans),
          frozenset({"order-deletion"})),
    # and one that is none
    Fault(
        "create_delivered_twice",
        "A create reaches the shop twice with the same Idempotency-Key.",
        _always(writes.delivered_twice),
        equivalent="The shop honours the key: one effect and the same answer, so nothing is wrong for anybody.",
    ),
)  # fmt: skip

RED = tuple(fault for fault in FAULTS if not fault.equivalent)
