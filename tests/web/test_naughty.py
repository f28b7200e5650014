"""Texts that break things, wherever a person or a program reads them: pages, metrics, log, calls."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from synthmon.core.inbound import Hook
from synthmon.web.serve import bind, serving
from tests.web.calls import a_caller, armed
from tests.web.conftest import a_client, an_app
from tests.web.naughty import BLNS, EVERYTHING, run_ids
from tests.web.naughty import a_naughty_monitor as a_monitor

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def test_the_list_is_the_big_one():
    assert len(BLNS) >= 485
    assert len(EVERYTHING) >= 485 + 30


def some_pages():
    """A few, with most of what attackers write."""
    return ["/?view=wall", "/?page=9", f"/runs/{run_ids()[-1]}", f"/journeys/n{len(BLNS):03}"]


def all_pages():
    """Every list, every run, some journeys."""
    lists, runs = [f"/?page={number}" for number in range(1, 11)], [f"/runs/{run}" for run in run_ids()]
    return [*some_pages(), *lists, *runs, *(f"/journeys/n{number:03}" for number in range(0, len(EVERYTHING), 20))]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("pages", [some_pages, pytest.param(all_pages, marks=pytest.mark.torture)])
async def test_a_browser_opens_no_dialog_and_breaks_no_policy_on_any_page(pages):
    playwright = pytest.importorskip("playwright.async_api")
    dialogs, violations, errors, elsewhere = [], [], [], []
    async with serving(an_app(await a_monitor()), bind("127.0.0.1:0")) as base, playwright.async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        page.set_default_timeout(120_000)

        async def dismiss(dialog):
            dialogs.append(dialog.message)
            await dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(base) else None)
        await page.expose_function("tellViolation", lambda told: violations.append(told))
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', e => tellViolation(e.violatedDirective + ' ' + e.blockedURI))"
        )
        for path in pages():
            answer = await page.goto(base + path, wait_until="load")
            assert answer.status == 200, path
            assert "pwned" not in await page.title()
        seen = (list(dialogs), list(violations), errors, elsewhere)
        await page.evaluate(
            "alert('one of ours'); document.body.append(Object.assign(document.createElement('script'), {text: '1'}))"
        )
        await page.wait_for_function("true")
        await browser.close()

    assert seen == ([], [], [], [])
    assert (dialogs, violations) == (["one of ours"], ["script-src-elem inline"])  # they would have been seen


async def test_every_text_is_on_its_page_word_for_word():
    async with a_client(await a_monitor()) as client:
        for number in range(0, len(EVERYTHING), 7):
            told = (await client.get(f"/api/v1/journeys/n{number:03}")).json()
            assert told["title"] == EVERYTHING[number]
            assert (await client.get(f"/journeys/n{number:03}")).status_code == 200


@pytest.mark.parametrize("openmetrics", [True, False])
async def test_the_metrics_page_is_read_by_the_parser_of_prometheus(openmetrics):
    accept = "application/openmetrics-text" if openmetrics else "text/plain"
    async with a_client(await a_monitor()) as client:
        text = (await client.get("/metrics", headers={"accept": accept})).text

    families = {family.name: family for family in (parse_openmetrics if openmetrics else parse_text)(text)}
    info = families["synthmon_journey" if openmetrics else "synthmon_journey_info"]
    told = {sample.labels["journey"]: sample.labels.get("title", "") for sample in info.samples}
    assert len(told) == len(EVERYTHING)
    wrong = [
        (told[f"n{number:03}"], text)
        for number, text in enumerate(EVERYTHING)
        if told[f"n{number:03}"] != text.replace("\r", " ").encode("utf-8", "replace").decode()
    ]
    assert not wrong


LOGGING = """
import json, sys
import structlog
from synthmon.runtime.logs import {how} as begin
begin(sys.stdout)
log = structlog.get_logger("test")
for text in json.loads(sys.stdin.read()):
    log.warning(text, said=text, journey={{"title": text}}, steps=[text])
"""


def logged(how):
    """What a process writes that logs every text."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGING.format(how=how)],
        input=json.dumps(EVERYTHING), capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return done.stdout


def unseen(text):
    """Characters that a viewer acts on instead of showing them."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _BIDI}


_BIDI = "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


def test_no_text_forges_a_line_of_the_log():
    written = logged("log_json")

    lines = written.split("\n")[:-1]
    assert len(lines) == len(EVERYTHING)
    assert not unseen(written) - {"\n"}
    for text, line in zip(EVERYTHING, lines, strict=True):
        told = json.loads(line)
        assert (told["event"], told["said"], told["level"]) == (text, text, "warning")


def test_no_text_forges_a_line_on_a_terminal():
    written = logged("log_words")

    assert len(written.split("\n")[:-1]) == len(EVERYTHING)
    plain = "".join(part.partition("m")[2] if n else part for n, part in enumerate(written.split("\x1b[")))
    assert not unseen(plain) - {"\n"}


async def test_every_text_comes_in_through_a_hook_as_it_was_sent():
    switchboard, address, awaited = armed(Hook(most_calls=10_000))
    async with a_caller(switchboard) as client:
        for text in EVERYTHING:
            content = text.encode("utf-8", "surrogatepass")
            header = "".join(char for char in text if " " <= char <= "~")[:1000].strip()
            answer = await client.post(address.url, content=content, headers={"x-text": header})
            assert answer.status_code == 200

    assert [call.body for call in awaited.calls] == [text.encode("utf-8", "surrogatepass") for text in EVERYTHING]
