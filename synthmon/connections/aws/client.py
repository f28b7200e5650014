"""A client of one AWS service that dials what the guard has looked at, with the settings' keys and nobody else's.

Neither the environment nor `~/.aws`, an instance's own credentials, a proxy or a redirect has a say. A request is sent
once: to repeat one that publishes is for a journey to ask for.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from aiohttp.abc import AbstractResolver, ResolveResult
from botocore import UNSIGNED
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader

from synthmon import __version__
from synthmon.connections.aws.attributes import trace_header
from synthmon.connections.aws.endpoints import Endpoint
from synthmon.connections.aws.words import in_words
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.outcomes import Reason

DIAL_S, SILENT_S = 5.0, 30.0
KEEP_S = 12.0  # an idle connection; AWS itself hangs up after 20 s
MOST_AT_ONCE = 500  # connections to one service: each listener holds one


class Service:
    """One service of AWS, to be asked by the names of boto's methods (`send_message`)."""

    def __init__(self, client: Any, where: str) -> None:
        self._client, self._where = client, where

    async def ask(self, method: str, what: str = "", /, **params: Any) -> Mapping[str, Any]:
        """Its answer. `what` did not happen if it fails, for a person. Raises `ConnectionTrouble`, or what the network
        and the guard do."""
        with in_words(what or f"{self._where} refused {method}", self._where, SILENT_S):
            answer: Mapping[str, Any] = await getattr(self._client, method)(**params)
            return answer

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.close()


def prepared(service: str) -> AioSession:
    """A session that knows a service and nothing of this machine. Blocks: it reads some hundred kilobytes of JSON."""
    for library in ("botocore", "aiobotocore"):  # their debug log holds requests with their session token
        logging.getLogger(library).setLevel(logging.INFO)
    session = AioSession()
    known = {name: ConstantProvider(default) for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
    known |= {name: ConstantProvider(os.devnull) for name in ("config_file", "credentials_file")}
    session.register_component("config_store", ConfigValueStore(mapping=known))
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session.register_component("data_loader", loader)
    session.register_component("token_provider", _NoToken())
    asyncio.run(_rehearsed(session, service))
    return session


async def connected(session: AioSession, service: str, endpoint: Endpoint, outlet: Outlet) -> Service:
    """The service at its address. Nothing is dialled yet."""
    addresses = _Addresses(endpoint, outlet)
    session.register_component("credential_provider", _Lending(outlet))
    args = {
        "resolver": addresses,
        "use_dns_cache": False,
        "socket_factory": addresses.socket,
        "keepalive_timeout": KEEP_S,
    }
    if endpoint.secure:
        args["ssl_context"] = outlet.tls()
    config = AioConfig(
        connector_args=args,
        http_session_cls=_Straight,
        proxies={},
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=DIAL_S,
        read_timeout=SILENT_S,
        max_pool_connections=MOST_AT_ONCE,
        user_agent=f"synthmon/{__version__}",
        ignore_configured_endpoint_urls=True,
        inject_host_prefix=False,
    )
    making = session.create_client(
        service, region_name=endpoint.region, endpoint_url=endpoint.url, verify=True, config=config
    )
    client = await making.__aenter__()
    if service == "sns":
        _pass_the_trace_on(client)
    return Service(client, endpoint.host)


async def _rehearsed(session: AioSession, service: str) -> None:
    """A client that asks nothing: the session keeps what was read in for it, and the next one is there at once."""
    config = AioConfig(signature_version=UNSIGNED, ignore_configured_endpoint_urls=True)
    async with session.create_client(service, region_name="none-1", endpoint_url="http://localhost", config=config):
        """Nothing is dialled."""


class _Straight(AIOHTTPSession):  # type: ignore[misc]  # the library says nothing of its types
    """HTTP without proxies and without following a redirect, TLS as the settings have it."""

    async def _create_connector(self, proxy_url: str | None) -> aiohttp.TCPConnector:
        args = dict(self._connector_args)
        return aiohttp.TCPConnector(limit=self._max_pool_connections, ssl=args.pop("ssl_context", True), **args)

    async def _get_session(self, proxy_url: str | None) -> _Unled:
        return _Unled(await super()._get_session(None))


class _Unled:
    """A session whose requests go where they are sent."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def request(self, method: str, **args: Any) -> Any:
        args |= {"proxy": None, "proxy_headers": None}
        if isinstance(args.get("data"), bytes):
            args["data"] = io.BytesIO(args["data"])  # a large one is sent in parts, and the loop goes on
        return self._session.request(method, allow_redirects=False, **args)


class _Addresses(AbstractResolver):
    """Every address that is dialled was answered by the guard, for the one host and port of the service."""

    def __init__(self, endpoint: Endpoint, outlet: Outlet) -> None:
        self._endpoint, self._outlet = endpoint, outlet
        self._looked_at: set[tuple[str, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if (host, port) != (self._endpoint.host, self._endpoint.port):
            said = f"{self._endpoint.host} leads to {host}:{port}, which is not its own address"
            raise ConnectionTrouble(Reason.EGRESS_BLOCKED, said, sent=False)
        found = await self._outlet.pinned(host, port)
        self._looked_at = {(address, port) for address in found}
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for address in found
        ]

    def socket(self, about: Any) -> socket.socket:
        """For one address: a number that stands in a URL is asked of no resolver, so it is looked at here."""
        family, kind, protocol, _, (host, port, *_) = about
        literal = (self._endpoint.host, self._endpoint.port)  # the guard has looked at it when the link was opened
        if (host, port) not in self._looked_at | {literal}:
            said = f"{host}:{port} was not looked at"
            raise ConnectionTrouble(Reason.EGRESS_BLOCKED, said, sent=False)
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """It holds nothing."""


class _Lending:
    """The keys, read anew for each request: those that are good for a while change."""

    def __init__(self, outlet: Outlet) -> None:
        self._keys = _Keys(outlet)

    async def load_credentials(self) -> AioCredentials:
        return self._keys


class _Keys(AioCredentials):  # type: ignore[misc]  # as above
    def __init__(self, outlet: Outlet) -> None:
        super().__init__("", "")
        self._outlet = outlet

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        lent = self._outlet.secret
        return ReadOnlyCredentials(lent("access_key"), lent("secret_key"), lent("session_token") or None, None)


class _NoToken:
    def load_token(self, **_: Any) -> None:
        return None


def _pass_the_trace_on(client: Any) -> None:
    """SNS takes the trace as a header of HTTP and hands it on with the message."""

    def keep(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        attribute = params.get("MessageAttributes", {}).get("traceparent", {})
        context["synthmon"] = trace_header(attribute.get("StringValue", ""))

    def add(params: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if trace := context.get("synthmon"):
            params["headers"]["X-Amzn-Trace-Id"] = trace

    client.meta.events.register("before-parameter-build.sns.Publish", keep)
    client.meta.events.register("before-call.sns.Publish", add)
