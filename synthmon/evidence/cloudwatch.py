"""`cloudwatch` is log events that Amazon CloudWatch Logs keeps.

```yaml
evidence:
  logs:
    cloudwatch: https://logs.eu-west-1.amazonaws.com
    groups: [/aws/lambda/order, /aws/lambda/billing]
    access_key: env:AWS_ACCESS_KEY_ID
    secret_key: env:AWS_SECRET_ACCESS_KEY
    lag: 10s
```

Asked for are the events of `groups` (names or ARNs) in which a mark of the run stands: its id, also as X-Ray spells it;
its namespace; its own keys. Of a key with quotes or letters beyond ASCII, the longest plain part is asked for. What
comes is looked through once more.

An event that is a JSON object is read by the names of its fields (`step`, `time`, `eventId`, `status`, `attempt`,
`service` and their like), or as `map` says. Of what AWS Lambda writes, objects after its own beginning of a line are
opened as well; its reports have the step `START`, `END` or `REPORT`, with `durationMs` and the run's trace if X-Ray was
on (in its JSON format `platform.report` and its like). Anything else is one text, `message`. `logGroup` and `logStream`
are kept; the last part of the group names the service where the event does not. An event without an instant of its own
has that of CloudWatch.

`lag` is how long an event may take until it is found: some seconds. Every run asks once in half a `lag` for each group;
AWS allows an account a few questions a second, says so, and is then asked less often. A group that does not exist is
said: Lambda makes its own at the first invocation.

The keys belong to a user or role that may `logs:FilterLogEvents` on these groups and nothing else; `session_token` goes
with temporary ones. They come from these references only: neither `~/.aws` nor the metadata of the machine is read.
`region` is needed where the address names none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.fields import FIELDS
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.aws import AskedOfAws, AwsBackEnd, AwsSourceKeys, Refused, trace_ids_in, xray_id
from synthmon.evidence.backends import CannotTell, Reader, bad_value, marks_to_ask_for
from synthmon.evidence.lambda_lines import fields_of_message
from synthmon.evidence.looking import Breath
from synthmon.evidence.records import INSTANT, PLACE, Records
from synthmon.evidence.windows import Page, Search

HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328.FilterLogEvents"}
EVENTS_A_PAGE = 10_000  # the most that may be asked for; a page holds 1 MB
MOST_PAGES = 100  # a look: pages may be empty
LONGEST_PATTERN = 1024
SHORTEST_TERM = 4
FUNCTION = "~function"

USUAL = {
    "id": ("eventId", "event_id", "messageId", "message_id", "id", PLACE),
    "at": FIELDS["at"],
    "clock": (*FIELDS["clock"], FUNCTION),
    "trace": (*FIELDS["trace"], "xray_trace_id"),
}


class CloudWatchKeys(AwsSourceKeys):
    """The keys of a `cloudwatch` source."""

    cloudwatch: str = Field(description="Its address: `https://logs.eu-west-1.amazonaws.com`.")
    groups: tuple[str, ...] = Field(description="Log groups, by name or ARN.", min_length=1, max_length=20)

    @field_validator("groups")
    @classmethod
    def _are_some(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            if not _GROUP.fullmatch(group):
                raise bad_value(f"{group!r} is no name of a log group", "Write /aws/lambda/order, or its ARN.")
        return groups


_MANUAL = __doc__


class CloudWatchSource(AskedOfAws):
    """The kind of source that `cloudwatch:` chooses (`core.sources.SourceKind`)."""

    word: str = "cloudwatch"
    manual: str = _MANUAL
    keys: type[CloudWatchKeys] = CloudWatchKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = AwsBackEnd("CloudWatch Logs", "logs", source.keys, source.keys.cloudwatch, means)
        events = Events(source, wanted, means, tell, back_end)
        return Reader(source, means, tell, events.read, events.widen).begin(back_end.where)


SOURCE = CloudWatchSource()


class Events:
    """The log events of one run, each told once.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """

    def __init__(self, source: Source, wanted: Wanted, means: Means, tell: Tell, back_end: AwsBackEnd) -> None:
        self._groups: tuple[str, ...] = source.keys.groups
        self._means, self._back_end = means, back_end
        self._search = Search(source, wanted, EVENTS_A_PAGE)
        self._records = Records(source, wanted, tell, USUAL)

    async def read(self) -> None:
        """What came since. Raises `CannotTell`."""
        await self._search.read(self._means.now_ns(), self._ask)

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these keys too."""
        self._search.widen(keys)
        self._records.widen(self._search.wanted)

    async def _ask(self, wanted: Wanted, begin_ns: int, end_ns: int, limit: int) -> Page:
        span = {"startTime": begin_ns // 10**6, "endTime": -(-end_ns // 10**6), "limit": limit}
        patterns = patterns_of(wanted)
        if wanted.words and not patterns:  # whoever waits for an answer is not to take silence for "there is none"
            fault = f"{self._back_end.where} can only be asked for {SHORTEST_TERM} plain characters in a row or more"
            raise CannotTell(Reason.EXPRESSION, fault)
        for group in self._groups:
            for pattern in patterns:
                await self._read(group, {**span, "filterPattern": pattern})
        return Page(False, begin_ns, end_ns)

    async def _read(self, group: str, span: Mapping[str, Any]) -> None:
        """All pages of one question; an empty one does not say that it was the last."""
        named = "logGroupIdentifier" if group.startswith("arn:") else "logGroupName"
        question, where = {named: group, **span}, self._back_end.where
        for _ in range(MOST_PAGES):
            match await self._call(group, question):
                case {"events": list(events), **more}:
                    await self._take(group, events)
                case _:
                    raise CannotTell(Reason.BAD_ANSWER, f"{where} answered no events; is it CloudWatch Logs?")
            match more:
                case {"nextToken": str(token)} if token:
                    question["nextToken"] = token
                case _:
                    return
        raise CannotTell(Reason.TOO_MANY, f"{where} has more than {MOST_PAGES} pages of {group} for this run")

    async def _call(self, group: str, question: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self._back_end.call("/", question, HEADERS)
        except Refused as refused:
            if refused.error != "ResourceNotFoundException":
                raise
            fault = f"{self._back_end.where} has no log group {group} in {self._back_end.region}"
            raise CannotTell(Reason.EVIDENCE, fault) from None

    async def _take(self, group: str, events: list[Any]) -> None:
        breath, received_ns, function = Breath(), self._means.now_ns(), _last_part(group)
        for event in events:
            await breath.take()
            match event:
                case {"eventId": str(id), "message": str(message), "timestamp": int(at_ms)}:
                    line = trace_ids_in(message)
                    if self._search.marked.search(line):
                        fields = {**fields_of_message(line), "logGroup": group, "logStream": event.get("logStreamName")}
                        known = {PLACE: id, INSTANT: at_ms, FUNCTION: function}
                        self._records.take((group, id, at_ms), fields, known, received_ns)


def patterns_of(wanted: Wanted) -> tuple[str, ...]:
    """Filter patterns, each for one of several texts: `?"a" ?"b"` (a term in quotes is found anywhere in an event).

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """
    plain = (max(_PLAIN.findall(mark), key=len, default="") for mark in marks_to_ask_for(wanted))
    texts = dict.fromkeys((*plain, *map(xray_id, wanted.own_traces)))
    patterns: list[str] = []
    for term in (f'?"{text}"' for text in texts if len(text) >= SHORTEST_TERM):
        if patterns and len(patterns[-1]) + 1 + len(term) <= LONGEST_PATTERN:
            patterns[-1] += f" {term}"
        else:
            patterns.append(term)
    return tuple(patterns)


def _last_part(group: str) -> str:
    """`order` of `/aws/lambda/order`."""
    return group.removesuffix(":*").rpartition("/")[2].rpartition(":")[2]


_GROUP = re.compile(r"[\w./#-]{1,512}|arn:aws[\w-]*:logs:[\w:./#*-]{1,2000}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9 _@.:+=,;#-]+")  # what no writer of JSON spells in another way
