"""What a program may ask."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

from synthmon.core.outcomes import Outcome
from synthmon.web.api import ENDPOINTS, PREFIX
from tests.web.conftest import MAY_CHANGE, a_client
from tests.web.some import a_failed_run, a_monitor

RUN = "9f86d081884c7d659a2feaa0c55ad015"


async def test_a_journey_whose_name_has_a_case_is_found():
    async with a_client(await a_monitor()) as client:
        told = (await client.get("/api/v1/journeys/checkout/card")).json()

    assert told["name"] == "checkout/card"
    assert told["state"] == "passing"
    assert told["schedule"] == "every 1m"
    assert len(told["recent"]) == 60


async def test_journeys_are_paged_by_name():
    monitor = await a_monitor()
    async with a_client(monitor) as client:
        names, query = [], {"limit": 4}
        while query:
            told = (await client.get("/api/v1/journeys", params=query)).json()
            names += [journey["name"] for journey in told["journeys"]]
            query = {"limit": 4, "after": told["next"]} if told["next"] else None
        failing = (await client.get("/api/v1/journeys?state=failing&owner=payments")).json()["journeys"]

    assert names == sorted(journey.name for journey in monitor.loaded)
    assert [journey["name"] for journey in failing] == ["checkout/voucher"]


async def test_runs_are_paged_and_filtered():
    async with a_client(await a_monitor()) as client:
        first = (await client.get("/api/v1/runs", params={"journey": "refund", "limit": 40})).json()
        rest = (await client.get("/api/v1/runs", params={"journey": "refund", "before": first["next"]})).json()
        bad = (await client.get("/api/v1/runs?outcome=failed&outcome=unknown&limit=500")).json()

    slots = [run["slot"] for run in first["runs"] + rest["runs"]]
    assert len(slots) == len(set(slots)) == 60
    assert rest["next"] is None
    assert {run["outcome"] for run in bad["runs"]} == {"failed", "unknown"}


async def test_one_run_is_told_whole_even_with_text_that_utf8_cannot_say():
    monitor = await a_monitor()
    await monitor.keep(a_failed_run("refund", "e" * 32, message="half \ud83d a surrogate", vars={"n": float("nan")}))
    async with a_client(monitor) as client:
        told = (await client.get(f"/api/v1/runs/{RUN[:6]}")).json()
        odd = await client.get(f"/api/v1/runs/{'e' * 32}")

    assert told["id"] == RUN
    assert told["steps"][2]["checks"][1]["values"][0] == ["body.entries[0].amount", '"12.00"']
    assert odd.status_code == 200
    assert "half \\ud83d a surrogate" in odd.text


async def test_a_run_now_is_started_once():
    async with a_client(await a_monitor(), headers=MAY_CHANGE) as client:
        started = await client.post("/api/v1/journeys/checkout/card/run")
        again = await client.post("/api/v1/journeys/checkout/card/run")
        nobody = await client.post("/api/v1/journeys/no/such/run")

    assert (started.status_code, started.json()) == (202, {"run": "ab" * 16})
    assert (again.status_code, again.json()["detail"]) == (409, "checkout/card is running already.")
    assert nobody.status_code == 404


async def test_pause_and_resume_answer_how_it_stands():
    monitor = await a_monitor()
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        paused = (await client.post("/api/v1/journeys/checkout/card/pause")).json()
        resumed = (await client.post("/api/v1/journeys/checkout/card/resume")).json()
        await client.post("/api/v1/pause")
        everything = set(monitor.paused)
        await client.post("/api/v1/resume")

    assert (paused["state"], resumed["state"]) == ("paused", "passing")
    assert len(everything) == len(monitor.loaded)
    assert not monitor.paused


async def test_a_reload_tells_what_changed_and_what_is_wrong():
    monitor = await a_monitor()
    async with a_client(monitor, headers=MAY_CHANGE) as client:
        told = (await client.post("/api/v1/reload")).json()
        problems = (await client.get("/api/v1/problems")).json()["problems"]

    assert (told["added"], told["removed"]) == (["new"], ["old"])
    assert told["problems"] == problems
    assert problems[0]["remedy"] == "Save it in an earlier step or correct the name."
    assert (problems[0]["line"], problems[0]["level"]) == (12, "error")


async def test_page_api_metrics_and_history_tell_the_same_counts():
    monitor = await a_monitor()
    async with a_client(monitor) as client:
        metrics = (await client.get("/metrics", headers={"accept": "application/openmetrics-text"})).text
        runs, before = [], {}
        while before is not None:
            told = (await client.get("/api/v1/runs", params={"limit": 100, **before})).json()
            runs += told["runs"]
            before = {"before": told["next"]} if told["next"] else None

    told = {family.name: family.samples for family in parse(metrics)}
    counted = {}
    for sample in told["synthmon_runs"]:
        outcome = sample.labels["outcome"]
        counted[outcome] = counted.get(outcome, 0) + sample.value
    kept = {outcome.value: 0 for outcome in Outcome}
    for (_, outcome, _), slots in (await monitor.history.totals()).items():
        kept[outcome.value] += slots
    asked = {outcome.value: sum(run["outcome"] == outcome for run in runs) for outcome in Outcome}
    assert counted == kept
    assert asked == kept


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs?limit=0",
        "/api/v1/runs?limit=501",
        "/api/v1/runs?limit=abc",
        "/api/v1/runs?limit=٣",
        "/api/v1/runs?limit=" + "9" * 5000,
        "/api/v1/runs?outcome=green",
        "/api/v1/runs?before=yesterday",
        "/api/v1/runs?before=0001-01-01T00:00:00%2B23:59",
    ],
)
async def test_a_senseless_question_is_answered_with_what_would_make_sense(path):
    async with a_client(await a_monitor()) as client:
        answer = await client.get(path)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


async def test_the_openapi_document_lists_every_endpoint_and_its_answers_have_the_shapes_it_says():
    async with a_client(await a_monitor(), headers=MAY_CHANGE) as client:
        document = (await client.get("/api/v1/openapi.json")).json()
        for endpoint in ENDPOINTS:
            operation = document["paths"][PREFIX + endpoint.path][endpoint.method.lower()]
            path = PREFIX + endpoint.path.replace("{name}", "refund").replace("{id}", RUN)
            answer = await client.request(endpoint.method, path)

            shape = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            faults = list(misfits(answer.json(), shape, document["components"]["schemas"]))
            assert not faults, f"{endpoint.method} {path}: {faults}"


def misfits(value, schema, named, at="$"):
    """Where a value does not have the shape of a schema (the part of JSON Schema that the document uses)."""
    if "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if all(list(misfits(value, one, named, at)) for one in schema["anyOf"]):
            yield f"{at} fits none"
        return
    kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "object": dict, "array": list}
    kinds["null"] = type(None)
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, kinds[kind]) for kind in allowed):
        yield f"{at} is {value!r}, not {schema['type']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{at} is {value!r}, not one of {schema['enum']}"
    elif isinstance(value, dict) and "properties" in schema:
        if set(value) != set(schema["properties"]):
            yield f"{at} has {sorted(set(value) ^ set(schema['properties']))} on one side only"
        for key in value.keys() & schema["properties"].keys():
            yield from misfits(value[key], schema["properties"][key], named, f"{at}.{key}")
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            yield from misfits(item, schema["items"], named, f"{at}[]")


@pytest.fixture(scope="module")
def strange_requests():
    """Methods, paths and queries that nobody would send."""
    templates = sorted({PREFIX + endpoint.path for endpoint in ENDPOINTS} | {"/journeys/{name}", "/runs/{id}", "/"})
    text = st.text(max_size=30).filter(lambda given: given.encode("utf-8", "ignore").decode() == given)
    return st.tuples(
        st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        st.sampled_from(templates),
        text,
        st.dictionaries(
            st.sampled_from(["limit", "before", "outcome", "journey", "q", "page", "state", "view"]), text, max_size=3
        ),
    )


async def test_no_request_however_strange_breaks_it(strange_requests):
    monitor = await a_monitor()
    asked = []

    @given(strange_requests)
    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def collect(request):
        asked.append(request)

    collect()

    async with a_client(monitor, headers=MAY_CHANGE) as client:
        for method, template, name, query in asked:
            path = re.sub(r"{\w+}", quote(name, safe=""), template)
            answer = await client.request(method, path, params=query)
            assert answer.status_code < 500, (method, path, query)


async def test_ready_says_why_it_is_not():
    monitor = await a_monitor()
    async with a_client(monitor) as client:
        well = await client.get("/readyz")
        monitor.is_ready = False
        ill = await client.get("/readyz")

    assert (well.status_code, ill.status_code) == (200, 503)
    assert ill.json() == {"ready": False, "journeys": 10, "oldest_heartbeat_s": 0.4}


async def test_a_fault_of_ours_tells_nothing_of_our_insides():
    monitor = await a_monitor()
    monitor.history = None
    async with a_client(monitor) as client:
        answer = await client.get("/api/v1/runs")

    assert answer.status_code == 500
    assert "NoneType" not in answer.text
