"""An account of AWS as a test has it: moto's server, which can be killed, and boto3 to speak for the system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from synthmon.core.messages import Gap, Message
from tests.connections.scenarios import Headers, Service
from tests.servers.moto import Moto, started

REGION = "eu-west-1"
KEY_ID, KEY = "AKIAPROBEPROBEPROBE0", "not-a-real-secret-key-of-anybody"
KEYS = f'region: {REGION}, access_key: "env:PROBE_KEY_ID", secret_key: "env:PROBE_KEY"'
"""Part of an entry of `connections:`; `set_keys` sets what it refers to."""

KEYWORDS: dict[str, Any] = {"region": REGION, "access_key": "env:PROBE_KEY_ID", "secret_key": "env:PROBE_KEY"}
"""The same for who opens a link without settings."""

Heard = asyncio.Queue[Message | Gap]
"""What an ear tells, by `put_nowait`."""

Read = Callable[[Mapping[str, Any]], tuple[Headers, bytes]]
"""What stands in a message of the service's queue."""


def set_keys(monkeypatch: Any) -> None:
    """As an operator would."""
    monkeypatch.setenv("PROBE_KEY_ID", KEY_ID)
    monkeypatch.setenv("PROBE_KEY", KEY)


def lead_astray(monkeypatch: Any) -> None:
    """By everything that AWS's libraries look for in the environment; boto3 obeys it from then on."""
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": "/nowhere/config",
        "AWS_ACCESS_KEY_ID": "AKIASOMEBODYELSE0000",
        "AWS_SECRET_ACCESS_KEY": "of-somebody-else",
        "AWS_SESSION_TOKEN": "of-somebody-else",
        "AWS_REGION": "us-east-1",
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "AWS_DATA_PATH": "/nowhere/models",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)


class Account:
    """The server and what is in it, for many tests: it keeps nothing over a kill, so `furnish` makes everything anew at
    each start."""

    def __init__(self, folder: Path, furnish: Callable[[Account], None]) -> None:
        self._folder, self._furnish = folder, furnish
        self._clients: dict[str, Any] = {}
        self.server: Moto | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def client(self, name: str) -> Any:
        """boto3's, one a service."""
        if name not in self._clients:
            session = boto3.session.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=KEY, region_name=REGION)
            config = Config(proxies={}, retries={"total_max_attempts": 1}, read_timeout=10, connect_timeout=5)
            self._clients[name] = session.client(name, endpoint_url=self.url, config=config)
        return self._clients[name]

    def queue(self, name: str) -> str:
        """Its URL."""
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def queues(self) -> list[str]:
        """Their names."""
        urls = self.client("sqs").list_queues().get("QueueUrls", [])
        return sorted(url.rpartition("/")[2] for url in urls)

    def renew(self) -> Account:
        """As on the first day; started if a test has left it dead."""
        if self.server is None or not self.server.alive:
            self.server = started(self._folder, self.server.port if self.server else 0)
        else:
            self.server.reset()
        self._furnish(self)
        return self

    async def start(self) -> None:
        await asyncio.to_thread(self.renew)

    async def kill(self) -> None:
        if self.server is not None:
            await asyncio.to_thread(self.server.kill)

    def close(self) -> None:
        if self.server is not None:
            self.server.kill()
        for client in self._clients.values():
            client.close()

    @asynccontextmanager
    async def serve(
        self, service: Service, queue: str, read: Read, say: Callable[[Headers, bytes], None]
    ) -> AsyncIterator[None]:
        """The service behind a queue: what it takes from there it answers, and it outlives the server."""
        replies: set[asyncio.Task[None]] = set()

        async def later(delay_s: float, headers: Headers, body: bytes) -> None:
            await asyncio.sleep(delay_s)
            await asyncio.to_thread(say, headers, body)

        async def work() -> None:
            while True:
                with suppress(Exception):  # the server is killed on purpose
                    for message in await asyncio.to_thread(self._take, queue):
                        for reply in service(*read(message)):
                            replies.add(asyncio.create_task(later(*reply)))
                await asyncio.sleep(0.05)

        working = asyncio.create_task(work())
        try:
            yield
        finally:
            for task in (working, *replies):
                task.cancel()
            await asyncio.gather(working, *replies, return_exceptions=True)

    def _take(self, queue: str) -> list[Mapping[str, Any]]:
        sqs, url = self.client("sqs"), self.queue(queue)
        got: list[Mapping[str, Any]] = sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"], MaxNumberOfMessages=10
        ).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return got


async def message_of(heard: Heard) -> Message:
    """The next thing that is heard, which is a message."""
    message = await asyncio.wait_for(heard.get(), 30)
    assert isinstance(message, Message)
    return message


def attributes(headers: Headers) -> dict[str, Any]:
    """Headers as boto3 wants them."""
    return {name: {"DataType": "String", "StringValue": value} for name, value in headers.items() if value}


def sent_headers(message: Mapping[str, Any]) -> dict[str, str]:
    """And back."""
    return {name: one["StringValue"] for name, one in message.get("MessageAttributes", {}).items()}
