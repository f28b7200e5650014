"""What a person sees, and what a hostile text cannot do to it."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from synthmon.core.errors import Place, Problem
from synthmon.core.outcomes import Outcome
from synthmon.core.run import CheckRecord
from synthmon.web.chart import chart
from synthmon.web.serve import bind, serving
from synthmon.web.standing import State, standing, state_of
from synthmon.web.waterfall import waterfall
from synthmon.web.words import ago, duration
from tests.metrics.some import NOON, a_journey
from tests.web.conftest import a_client, an_app
from tests.web.monitor import MemoryMonitor
from tests.web.some import a_failed_run, a_monitor

RUN = "9f86d081884c7d659a2feaa0c55ad015"
HOSTILE = [
    "<script>document.title='pwned'</script>",
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    '"><svg onload="document.title=\'pwned\'">',
    "'><svg/onload=document.title='pwned'>",
    "</title><script>document.title='pwned'</script>",
    "</pre></code><script>document.title='pwned'</script>",
    "<style>@import 'http://192.0.2.1/x'</style>",
    "<link rel=stylesheet href=http://192.0.2.1/x>",
    "<iframe src=\"javascript:parent.document.title='pwned'\"></iframe>",
    "<a href=\"javascript:document.title='pwned'\">x</a>",
    "<body onload=document.title='pwned'>",
    "<input autofocus onfocus=document.title='pwned'>",
    "<details open ontoggle=document.title='pwned'>",
    "<marquee onstart=document.title='pwned'>",
    "<video><source onerror=\"document.title='pwned'\">",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=document.title='pwned'>",
    "<div hx-get='/x' hx-trigger='load' hx-on:load=\"document.title='pwned'\">",
    "<div data-hx-on='htmx:load: document.title=\"pwned\"'>",
    "<form action=http://192.0.2.1/><button>x",
    "<base href=http://192.0.2.1/>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "<object data=\"data:text/html,<script>document.title='pwned'</script>\">",
    "<embed src=//192.0.2.1/x>",
    "<![CDATA[<script>document.title='pwned'</script>]]>",
    "<!--<img src='--><img src=x onerror=document.title='pwned'>",
    "{{ 7*7 }}{% raw %}${7*7}",
    "\" autofocus onfocus=\"document.title='pwned'",
    "' style='background:url(http://192.0.2.1/x)",
    "&lt;script&gt;document.title='pwned'&lt;/script&gt;",
    "\u202e\u2066<script>document.title='pwned'</script>",
    "\x00<scr\x00ipt>document.title='pwned'</script>",
    "\ud800<script>document.title='pwned'</script>",
    "＜script＞document.title='pwned'＜/script＞",
    "%3Cscript%3Edocument.title='pwned'%3C/script%3E",
]


class Tags(HTMLParser):
    """Counts tags, and keeps every attribute."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = Counter(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]


async def a_hostile_monitor(text):
    journey = a_journey(
        "hostile", title=text, owner=text, system=text, runbook=f"javascript:{text}", labels={"team": text}, text=text
    )
    run = a_failed_run("hostile", message=text, step=text, system=text, location=text, version=text, replay_of=text)
    step = run.steps[0]
    attempt = replace(step.attempts[0], what=text, detail=text, request=text, answer=text, id=text)
    check = CheckRecord(text, text, False, ((text, text),), text)
    nasty = replace(step, id=text, title=text, message=text, saved={text: text}, attempts=(attempt,), checks=(check,))
    run = replace(
        run,
        steps=(nasty,),
        verify=(check,),
        undo=(attempt,),
        debts=(replace(run.debts[0], path=text, what=text, state=text),),
        vars={text: text, "deep": {text: [text]}},
        identity={text: text},
    )
    monitor = MemoryMonitor([journey], (Problem(Place(text, 1, 1, text), text, text, text),), is_ready=False)
    await monitor.keep(run)
    words = dict.fromkeys(("id", "step", "system", "tag", "last_fault", "by_hand"), text)
    monitor.open_debts = ({**words, "run": RUN, "journey": "hostile", "since": NOON.isoformat(), "tries": 3},)
    return monitor


def paths():
    return ("/", "/?view=wall", "/debts", "/journeys/hostile", f"/runs/{RUN}", "/runs/000000")


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_hostile_text_is_shown_and_does_nothing(text):
    async with a_client(await a_hostile_monitor("harmless")) as client:
        harmless = {path: Tags((await client.get(path)).text) for path in paths()}

    async with a_client(await a_hostile_monitor(text)) as client:
        answers = {path: await client.get(path) for path in harmless}
        search = await client.get("/", params={"q": text.encode("utf-8", "replace"), "state": "failing"})

    for path, answer in answers.items():
        seen = Tags(answer.text)
        assert seen.tags == harmless[path].tags
        assert {(tag, name) for tag, name, _ in seen.attributes} == {
            (tag, name) for tag, name, _ in harmless[path].attributes
        }
    assert Tags(search.text).tags["script"] == 2


async def test_no_page_has_inline_script_or_style_and_the_policy_forbids_them():
    async with a_client(await a_monitor()) as client:
        for path in ("/", "/?view=wall", "/debts", "/journeys/invoice-close", f"/runs/{RUN}", "/runs/000000"):
            answer = await client.get(path)

            seen = Tags(answer.text)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "style" not in seen.tags
            assert all(name != "style" and not name.startswith("on") for _, name, _ in seen.attributes)
            assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
            assert all(
                value.startswith(("/", "#")) for _, name, value in seen.attributes if name in ("src", "href", "action")
            )


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
async def test_a_browser_runs_nothing_of_a_hostile_text(tmp_path):
    monitor = await a_hostile_monitor("".join(text for text in HOSTILE if "\x00" not in text))

    async with serving(an_app(monitor), bind("127.0.0.1:0")) as base:
        for path in ("/", f"/runs/{RUN}"):
            browser = await asyncio.create_subprocess_exec(
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                *(f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom", base + path),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            dom, log = await asyncio.wait_for(browser.communicate(), 60)

            assert b"Journeys" in dom
            assert b"<title>pwned" not in dom
            assert b"Content Security Policy" not in log
            assert b"CONSOLE" not in log


async def test_the_worst_stands_first_and_says_why():
    async with a_client(await a_monitor()) as client:
        text = (await client.get("/")).text

    order = [text.index(f'id="state-{state}"') for state in State]
    assert order == sorted(order)
    assert "mail: the mailbox could not be read before 12:00:20" in text
    assert "probes/refund.yaml:12:9 steps[1].http" in text
    assert "Save it in an earlier step" in text
    assert text.count('class="cell passed"') > 100


async def test_an_empty_monitor_says_what_to_do():
    async with a_client(MemoryMonitor()) as client:
        text = (await client.get("/")).text

    assert "No journeys yet" in text
    assert "synthmon check" in text


async def test_journeys_are_found_by_owner_and_kept_to_one_state():
    async with a_client(await a_monitor()) as client:
        payments = (await client.get("/?q=PAYMENTS")).text
        failing = (await client.get("/?q=payments&state=failing")).text

    assert re.findall(r'class="name" href="/journeys/([^"]+)"', payments) == [
        "checkout/voucher",
        "checkout/card",
        "refund",
    ]
    assert re.findall(r'class="name" href="/journeys/([^"]+)"', failing) == ["checkout/voucher"]


async def test_many_journeys_come_in_pages_that_leave_nobody_out():
    monitor = MemoryMonitor([a_journey(f"journey-{i:03d}") for i in range(130)])
    async with a_client(monitor) as client:
        texts = [(await client.get(f"/?page={page}")).text for page in (1, 2, 3)]
        past = (await client.get("/?page=99999")).text

    names = [name for text in texts for name in re.findall(r'class="name" href="/journeys/([^"]+)"', text)]
    assert names == [journey.name for journey in monitor.loaded]
    assert "Page 3 of 3" in past


async def test_a_failed_run_shows_what_was_expected_seen_and_left_behind():
    async with a_client(await a_monitor()) as client:
        text = (await client.get(f"/runs/{RUN[:8]}")).text

    for said in (
        "body.entries[0].amount == case.amount",
        "&#34;12.00&#34;",
        "the connection was reset before a byte of the answer came",
        "waited for us 12 ms",
        "owed",
        "DELETE /invoices/i-77 → 204",
        "ada.lovelace@synthetic.example.com",
        f"synthmon show {RUN[:12]}",
        "i-77",
    ):
        assert said in text
    assert f'<code id="run-id">{RUN}</code>' in text


async def test_a_picture_of_the_page_is_shown_where_one_is_kept():
    monitor = MemoryMonitor()
    record = a_failed_run(run_id="ab" * 16)
    attempt = replace(record.steps[0].attempts[0], shot=f"{'ab' * 16}-1.png")
    await monitor.keep(replace(record, steps=(replace(record.steps[0], attempts=(attempt,)),)))
    monitor.pictures = {attempt.shot: b"\x89PNG"}
    async with a_client(monitor) as client:
        page = await client.get(f"/runs/{record.run_id}")
        picture = await client.get(f"/shots/{attempt.shot}")
        lost = await client.get("/shots/other.png")

    assert f'src="/shots/{attempt.shot}"' in page.text
    assert "img-src 'self'" in page.headers["content-security-policy"]
    assert (picture.content, picture.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert lost.status_code == 404


async def test_open_debts_are_shown_with_what_a_person_would_do_and_that_nothing_is_created():
    async with a_client(await a_monitor()) as client:
        front, page = (await client.get("/")).text, (await client.get("/debts")).text
    async with a_client(await a_monitor(problems=False)) as client:
        nothing = (await client.get("/debts")).text

    assert "Too many: no run that creates anything starts. Open are 1 of at most 0 in billing." in front
    assert "Nothing is created any more" in page
    for told in (
        "DELETE https://billing.example.com/invoices/i-77",
        "→ &lt;500&gt;",
        "billing",
        ">3<",
        "invoice-close",
    ):
        assert told in page
    assert "Everything that runs created was taken back" in nothing


async def test_notes_are_shown_and_that_evidence_is_no_longer_kept():
    monitor = await a_monitor()
    old = replace(
        a_failed_run(run_id="cd" * 16, cause="manual"), notes=("odd order: b came before a",), evidence_forgotten=True
    )
    await monitor.keep(old)

    async with a_client(monitor) as client:
        page, told = (await client.get(f"/runs/{old.run_id}")).text, await client.get(f"/api/v1/runs/{old.run_id}")

    assert "odd order: b came before a" in page
    assert "Its evidence is no longer kept." in page
    assert (told.json()["notes"], told.json()["evidence_forgotten"]) == (["odd order: b came before a"], True)


async def test_a_run_that_is_not_there_is_looked_for_again():
    async with a_client(await a_monitor()) as client:
        answer = await client.get("/runs/ffffffffffff")

    assert answer.status_code == 404
    assert "data-reload" in answer.text


def test_the_waterfall_puts_every_act_on_one_scale():
    run = a_failed_run()

    fall = waterfall(run)

    bars = [bar for row in (*fall.rows, *fall.undo) for bar in row.bars]
    assert all(0 <= bar.x <= 1000 and bar.x + bar.width <= 1002.1 for bar in bars)
    looks = [bar.x for bar in fall.rows[2].bars if bar.kind == "wait"]
    assert looks == sorted(looks)
    assert len(looks) == 9
    assert fall.undo[0].bars[0].x > looks[-1]
    assert [row.outcome for row in fall.undo] == ["passed", "failed"]
    assert fall.phases == ("dns", "connect", "tls", "wait", "read", "ours")


def test_the_chart_leaves_out_slots_without_a_run():
    gap = replace(a_failed_run(), run_id="", outcome=Outcome.MISSED)

    drawn = chart([a_failed_run(), gap])

    assert len(drawn.points) == 1
    assert chart([gap]) is None


async def test_latencies_of_bad_or_lagged_runs_are_in_no_percentile():
    monitor = MemoryMonitor([a_journey("j")])
    for i, (outcome, ms, lagged) in enumerate(
        [
            (Outcome.PASSED, 100.0, False),
            (Outcome.FLAKY, 300.0, False),
            (Outcome.PASSED, 9e9, True),
            (Outcome.FAILED, 9e9, False),
        ]
    ):
        slot = NOON.replace(minute=i)
        await monitor.keep(
            a_failed_run("j", run_id=f"{i}" * 32, slot=slot, outcome=outcome, outcome_ms=ms, lagged=lagged)
        )

    stands = standing(monitor.journey("j"))

    assert (stands.p50_ms, stands.p95_ms) == (100.0, 300.0)
    assert (stands.state, stands.since) == (State.FAILING, NOON.replace(minute=3))


def test_a_journey_without_a_run_is_waiting_not_green():
    monitor = MemoryMonitor([a_journey("j")])

    assert state_of(monitor.journey("j")) is State.WAITING


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.25, "250 µs"),
        (4.5, "4.5 ms"),
        (850, "850 ms"),
        (1250, "1.25 s"),
        (185_000, "3 min 5 s"),
    ],
)
def test_durations_are_said_as_people_say_them(ms, said):
    assert duration(ms) == said


def test_instants_are_said_from_now():
    assert ago(NOON, NOON.replace(minute=3)) == "3 min ago"
    assert ago(NOON.replace(second=40), NOON) == "in 40 s"


async def test_a_replay_and_its_original_link_to_each_other():
    monitor = MemoryMonitor([a_journey("invoice-close")])
    original, replay = a_failed_run(), a_failed_run(run_id="c" * 32, cause="replay", replay_of=RUN)
    for run in (original, replay):
        await monitor.keep(run)

    async with a_client(monitor) as client:
        of_original, of_replay = [(await client.get(f"/runs/{run}")).text for run in (RUN, "c" * 32)]

    assert f'href="/runs/{"c" * 32}"' in of_original
    assert f'A replay of run <a href="/runs/{RUN}">' in of_replay
    assert "A replay of run" not in of_original
