"""Recordings become drafts that learn their values, keep no secret, and load."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from synthmon.core.errors import Invalid
from synthmon.imports.draft import Draft, DraftStep, render
from synthmon.imports.har import from_har
from synthmon.imports.texts import written
from tests.imports.loading import assert_loads, texts
from tests.imports.recordings import REFERENCE, SHOP, TOKEN, bought, entry, har


def steps(draft: Draft) -> dict[str, DraftStep]:
    return {step.id: step for step in draft.steps}


def test_a_recorded_purchase_is_a_journey_that_loads(tmp_path: Path) -> None:
    draft = from_har(bought())

    assert [step.id for step in draft.steps] == ["page", "login", "read_user", "order", "read_order", "ledger"]
    assert_loads(tmp_path, draft)


def test_what_an_answer_gave_is_saved_and_used() -> None:
    found = steps(from_har(bought()))

    assert found["login"].save["access_token"] == "secret(body.access_token)"
    assert written(found["order"].request.headers["Authorization"]) == "Bearer ${login.access_token}"
    assert found["order"].save == {"id": "body.id"}
    assert written(found["read_order"].request.url) == "/api/orders/${order.id}"
    assert written(found["ledger"].request.params["order"]) == "${order.id}"
    assert written(found["read_user"].request.url) == "/api/users/${login.id}"


def test_a_cookie_that_an_answer_set_is_learnt_and_others_are_left_out() -> None:
    found = steps(from_har(bought()))

    assert found["login"].save["sid"] == 'secret(find(headers["set-cookie"], "sid=([^;,]+)"))'
    assert written(found["read_user"].request.headers["Cookie"]) == "sid=${login.sid}"


def test_a_hidden_field_of_a_page_is_learnt() -> None:
    found = steps(from_har(bought()))

    assert list(found["page"].save) == ["csrf"]
    assert written(found["login"].request.body["csrf"]) == "${page.csrf}"


def test_an_id_that_the_client_made_is_new_in_every_run() -> None:
    draft = from_har(bought())

    assert {name: written(value) for name, value in draft.vars.items()} == {"reference": '${uuid("reference")}'}
    assert written(steps(draft)["ledger"].request.params["reference"]) == "${vars.reference}"


def test_asking_again_is_one_step_that_waits_for_what_changed() -> None:
    step = steps(from_har(bought()))["read_order"]

    assert step.within == "10s"
    assert step.expect == ("status == 200", 'body.status == "paid"')


@pytest.mark.parametrize(("ended_s", "within", "every"), [(2, "10s", "5m"), (30, "60s", "5m"), (59, "120s", "5m")])
def test_it_waits_twice_as_long_as_the_recording_did(ended_s: int, within: str, every: str, tmp_path: Path) -> None:
    asked = (entry(at_s, "GET", f"{SHOP}/a", got={"state": state}) for at_s, state in ((0, "new"), (ended_s, "done")))

    draft = from_har(har(*asked))

    assert (draft.steps[0].within, draft.every) == (within, every)
    assert assert_loads(tmp_path, draft).problems == ()


def test_clocks_that_are_far_apart_do_no_harm(tmp_path: Path) -> None:
    late = entry(1, "GET", f"{SHOP}/a", got={"state": "done"}) | {"startedDateTime": "2199-01-01T00:00:00Z"}

    draft = from_har(har(entry(0, "GET", f"{SHOP}/a", got={"state": "new"}), late))

    assert (draft.steps[0].within, draft.every) == ("300s", "30m")
    assert assert_loads(tmp_path, draft).problems == ()


def test_a_write_asks_what_it_leaves_behind() -> None:
    assert "leaves: nothing  # say what this leaves behind, or write undo:" in render(from_har(bought()))


@pytest.mark.parametrize(
    "gone",
    [
        TOKEN,
        "hunter2",
        "jane",
        "corp.com",
        "s3ss10n",
        "7183",
        "4539578763621486",
        "kfjh3487",
        REFERENCE,
        "ord_8842abX",
        "_ga",
    ],
)
def test_nothing_of_one_run_or_one_person_is_left(gone: str) -> None:
    assert gone not in texts(from_har(bought()))


def test_assets_and_hosts_that_count_visitors_are_left_out() -> None:
    draft = from_har(bought())

    assert [system.base for system in draft.systems] == [SHOP]
    assert "Left out: www.google-analytics.com." in draft.notes


def test_only_names_the_hosts_that_are_taken(tmp_path: Path) -> None:
    recording = har(
        entry(0, "GET", "https://api.a.example.com/x", got={"ok": True}),
        entry(1, "GET", "https://b.example.net/x", got={"ok": True}),
        entry(2, "GET", "https://o1.ingest.sentry.io/x", got={"ok": True}),
    )

    both, one, counting = (
        from_har(recording),
        from_har(recording, ["a.example.com"]),
        from_har(recording, ["sentry.io"]),
    )

    assert [system.name for system in both.systems] == ["a", "b"]
    assert [step.system for step in both.steps] == ["", "b"]
    assert [system.name for system in one.systems] == ["a"]
    assert [system.base for system in counting.systems] == ["https://o1.ingest.sentry.io"]
    assert_loads(tmp_path, both)


def test_short_ids_are_learnt_where_they_follow_their_path(tmp_path: Path) -> None:
    draft = from_har(
        har(
            entry(0, "POST", f"{SHOP}/carts", 201, sent={"n": 1}, got={"id": 42, "total": 42}),
            entry(1, "PUT", f"{SHOP}/carts/42", sent={"n": 2}, got={"id": 42}),
            entry(2, "GET", f"{SHOP}/pages/42", got={"x": "y"}),
        )
    )

    assert [written(step.request.url) for step in draft.steps] == ["/carts", "/carts/${cart.id}", "/pages/42"]
    assert_loads(tmp_path, draft)


def test_numbers_keep_their_type(tmp_path: Path) -> None:
    draft = from_har(
        har(
            entry(0, "POST", f"{SHOP}/a", 201, sent={"n": 1}, got={"id": 12345678, "code": "87654321"}),
            entry(1, "POST", f"{SHOP}/b", sent={"as_int": 12345678, "as_text": "12345678", "code": 87654321}, got={}),
        )
    )

    assert {key: written(value) for key, value in draft.steps[1].request.body.items()} == {
        "as_int": "${a.id}",
        "as_text": "${string(a.id)}",
        "code": "int(a.code)".join(("${", "}")),
    }
    assert_loads(tmp_path, draft)


def test_what_the_client_sent_first_is_not_learnt() -> None:
    draft = from_har(
        har(
            entry(0, "POST", f"{SHOP}/a", sent={"sku": "mug-blue-01"}, got={"sku": "mug-blue-01"}),
            entry(1, "GET", f"{SHOP}/stock/mug-blue-01", got={"left": 5}),
        )
    )

    assert all(not step.save for step in draft.steps)


def test_an_id_in_location_is_learnt(tmp_path: Path) -> None:
    draft = from_har(
        har(
            entry(0, "POST", f"{SHOP}/a", 201, sent={"x": 1}, answered={"Location": "/a/9f8e7d6c5b"}, text=""),
            entry(1, "DELETE", f"{SHOP}/a/9f8e7d6c5b", 204, text=""),
        )
    )

    assert written(draft.steps[1].request.url) == "/a/${a.id}"
    assert draft.system.writes == ("POST /a", "DELETE /a/*")
    assert_loads(tmp_path, draft)


def test_a_recording_without_credentials_says_so() -> None:
    draft = from_har(har(entry(0, "POST", f"{SHOP}/a", sent={"x": 1}, got={})))

    assert any("no cookies and no Authorization" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("post", "line"),
    [
        (
            {"mimeType": "application/x-www-form-urlencoded", "text": "a=1&b=x+y"},
            '    form:\n      a: "1"\n      b: x y\n',
        ),
        (
            {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a", "value": "1"}]},
            '    form:\n      a: "1"\n',
        ),
        (
            {"mimeType": "multipart/form-data; boundary=x", "params": [{"name": "a", "value": "1"}]},
            '    form:\n      a: "1"\n',
        ),
        ({"mimeType": "text/plain", "text": "a: ${b}"}, '    body: "a: $${b}"\n'),
        ({"mimeType": "application/json", "text": "{broken"}, "    body: "),
    ],
)
def test_every_kind_of_body_is_sent_again(post: dict[str, Any], line: str, tmp_path: Path) -> None:
    one = entry(0, "POST", f"{SHOP}/a", got={"ok": True})
    one["request"]["postData"] = post
    draft = from_har(har(one))

    assert line in render(draft)
    assert_loads(tmp_path, draft)


def test_odd_entries_are_passed_over(tmp_path: Path) -> None:
    fine = entry(3, "GET", f"{SHOP}/a", 304, text="")
    packed = entry(4, "GET", f"{SHOP}/b")
    packed["response"]["content"] |= {"text": base64.b64encode(b'{"state": "open"}').decode(), "encoding": "base64"}
    blocked = entry(0, "GET", f"{SHOP}/blocked", 0)
    draft = from_har(
        har(
            {}, {"request": None}, blocked, fine, packed,
            entry(1, "GET", "data:text/html,hi"), entry(1, "OPTIONS", f"{SHOP}/a", 204), entry(1, "GET", "chrome-extension://x/y"),
        )
    )  # fmt: skip

    assert [step.expect for step in draft.steps] == [("status == 200",), ("status == 200", 'body.state == "open"')]
    assert_loads(tmp_path, draft)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("[]", "no log.entries"),
        ("{}", "no log.entries"),
        ('{"log": {"entries": []}}', "no entries"),
        (har(entry(0, "GET", f"{SHOP}/a.png", media="image/png", resource="image")), "Nothing in the recording"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_remedy(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_har(text)

    assert said in str(refused.value)


def test_a_long_recording_is_cut_and_says_so(tmp_path: Path) -> None:
    draft = from_har(har(*(entry(i / 10, "GET", f"{SHOP}/page-{i}x", got={"ok": True}) for i in range(60))))

    assert len(draft.steps) == 40
    assert any("first 40 of 60" in note for note in draft.notes)
    assert_loads(tmp_path, draft)


def test_a_title_with_a_secret_of_the_path_shows_none() -> None:
    draft = from_har(
        json.dumps(json.loads(har(entry(0, "GET", f"{SHOP}/reset/{TOKEN}/jane%40corp.com", got={"a": 1}))))
    )

    assert TOKEN not in texts(draft)
    assert "jane" not in texts(draft)
