"""A gRPC server of a little shop, described at run time; it speaks by Google's own library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from grpc_reflection.v1alpha import reflection

FIELD = descriptor_pb2.FieldDescriptorProto


def described() -> descriptor_pb2.FileDescriptorSet:
    """What protoc would make of `shop.proto`."""
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/duration.proto")
    asked = file.message_type.add(name="Asked")
    asked.field.add(name="sku", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    asked.field.add(name="amount", number=2, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)
    stock = file.message_type.add(name="Stock")
    stock.field.add(name="sku", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    stock.field.add(name="in_stock", number=2, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)
    wait = stock.field.add(name="wait", number=3, type=FIELD.TYPE_MESSAGE, label=FIELD.LABEL_OPTIONAL)
    wait.type_name = ".google.protobuf.Duration"
    service = file.service.add(name="Stocks")
    for name, streams in (("Get", False), ("Watch", True), ("Fail", False), ("Sleep", False)):
        method = service.method.add(name=name, input_type=".shop.Asked", output_type=".shop.Stock")
        method.server_streaming = streams
    service.method.add(name="Upload", input_type=".shop.Asked", output_type=".shop.Stock", client_streaming=True)
    needed = descriptor_pb2.FileDescriptorProto()
    duration_pb2.DESCRIPTOR.CopyToProto(needed)
    return descriptor_pb2.FileDescriptorSet(file=[needed, file])


class Shop:
    """The server, and the metadata and messages that it saw."""

    def __init__(self) -> None:
        self.port = 0
        self.metadata: list[dict[str, Any]] = []
        self.asked: list[Any] = []
        self.sleeping = asyncio.Event()
        self._server = grpc.aio.server()

    async def start(self, described_too: bool, tls: grpc.ServerCredentials | None) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in described().file:
            pool.Add(file)
        asked, stock = (message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shop.{n}")) for n in _MESSAGES)
        kinds = {"request_deserializer": asked.FromString, "response_serializer": lambda made: made.SerializeToString()}

        def seen(request: Any, context: Any) -> None:
            self.metadata.append(dict(context.invocation_metadata()))
            self.asked.append(request)

        async def get(request: Any, context: Any) -> Any:
            seen(request, context)
            context.set_trailing_metadata((("x-served-by", "one"),))
            return stock(sku=request.sku, in_stock=request.amount)

        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            seen(request, context)
            for left in range(request.amount, 0, -1):
                yield stock(sku=request.sku, in_stock=left)

        async def fail(request: Any, context: Any) -> Any:
            seen(request, context)
            code = grpc.StatusCode.UNAVAILABLE if request.sku == "down" else grpc.StatusCode.NOT_FOUND
            await context.abort(code, f"no {request.sku} here")

        async def sleep(request: Any, context: Any) -> Any:
            seen(request, context)
            self.sleeping.set()
            await asyncio.sleep(60)

        handlers = {
            "Get": grpc.unary_unary_rpc_method_handler(get, **kinds),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, **kinds),
            "Fail": grpc.unary_unary_rpc_method_handler(fail, **kinds),
            "Sleep": grpc.unary_unary_rpc_method_handler(sleep, **kinds),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stocks", handlers),))
        if described_too:
            reflection.enable_server_reflection(["shop.Stocks", reflection.SERVICE_NAME], self._server, pool=pool)
        at = "127.0.0.1:0"
        self.port = self._server.add_secure_port(at, tls) if tls else self._server.add_insecure_port(at)
        await self._server.start()

    async def kill(self) -> None:
        """At once, whatever is under way."""
        await self._server.stop(None)


_MESSAGES = ("Asked", "Stock")


@asynccontextmanager
async def shop(described_too: bool = True, tls: grpc.ServerCredentials | None = None) -> AsyncIterator[Shop]:
    """A server on a port of its own."""
    made = Shop()
    await made.start(described_too, tls)
    try:
        yield made
    finally:
        await made.kill()
