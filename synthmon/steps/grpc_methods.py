"""What a gRPC method takes and gives: from a descriptor file, or asked of the server by reflection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
MOST_FILES = 1000


class NoMethod(Exception):
    """There is no such method, or it is none that can be called; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method, and the ways between JSON (proto3's canonical form) and its messages."""

    path: str
    streams: bool
    _takes: Any
    _gives: Any
    _pool: Any

    def request(self, value: Any) -> bytes:
        """A message from JSON. Raises `ValueError`."""
        from google.protobuf import json_format

        try:
            message = json_format.ParseDict(value, self._takes(), descriptor_pool=self._pool)
            return bytes(message.SerializeToString())
        except json_format.Error as error:
            raise ValueError(str(error)) from error

    def answer(self, content: bytes) -> Any:
        """JSON from a message, fields without a value included. Raises `ValueError`."""
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError

        try:
            message = self._gives.FromString(content)
            return json_format.MessageToDict(
                message, always_print_fields_with_no_presence=True, descriptor_pool=self._pool
            )
        except (DecodeError, json_format.Error) as error:
            raise ValueError(str(error)) from error


def from_file(content: bytes, service: str, method: str) -> Method:
    """From a FileDescriptorSet (`protoc --include_imports --descriptor_set_out`). Raises `NoMethod`."""
    from google.protobuf import descriptor_pb2
    from google.protobuf.message import DecodeError

    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(content).file
    except DecodeError as error:
        raise NoMethod("the file is no descriptor set of protoc") from error
    return _method({file.name: file for file in files}, service, method)


async def from_server(channel: Any, service: str, method: str, metadata: Sequence[tuple[str, str]]) -> Method:
    """As the server describes itself. Raises `NoMethod`, or what the channel raises."""
    from grpc import StatusCode
    from grpc.aio import AioRpcError

    for name in REFLECTION:
        try:
            return _method(await _files(channel, name, service, metadata), service, method)
        except AioRpcError as error:
            if error.code() is not StatusCode.UNIMPLEMENTED:
                raise
    raise NoMethod("the server does not describe itself (reflection is off); give `descriptor: file.pb`")


async def _files(channel: Any, reflection: str, service: str, metadata: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The file of a service, and all that it imports."""
    from google.protobuf import descriptor_pb2
    from grpc_reflection.v1alpha import reflection_pb2 as words  # v1 has other names for the same bytes

    ask = channel.unary_unary(  # a stream of one question: the status of a stream may get lost behind a late write
        f"/{reflection}/ServerReflectionInfo",
        request_serializer=words.ServerReflectionRequest.SerializeToString,
        response_deserializer=words.ServerReflectionResponse.FromString,
    )
    found: dict[str, Any] = {}
    asked = words.ServerReflectionRequest(file_containing_symbol=service)
    told, wanted = set[str](), {service}
    while wanted and len(found) < MOST_FILES:
        answer = await ask(asked, metadata=metadata)
        if answer.HasField("error_response"):
            raise NoMethod(f"the server does not know {service}: {answer.error_response.error_message}")
        for raw in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(raw)
            found[file.name] = file
        wanted = {name for file in found.values() for name in file.dependency} - found.keys() - told
        if wanted:
            told.add(min(wanted))
            asked = words.ServerReflectionRequest(file_by_filename=min(wanted))
    return found


def _method(files: Mapping[str, Any], service: str, method: str) -> Method:
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    added = set[str]()

    def add(name: str) -> None:
        if name in added or name not in files:
            return
        added.add(name)
        for needed in files[name].dependency:
            add(needed)
        pool.Add(files[name])

    try:
        for name in files:
            add(name)
        described = pool.FindServiceByName(service)
    except KeyError as error:
        raise NoMethod(f"there is no service {service}") from error
    except TypeError as error:  # what the pool says of files that do not fit together
        raise NoMethod(f"its description cannot be used: {error}") from error
    found = described.methods_by_name.get(method)
    if found is None:
        raise NoMethod(f"{service} has no method {method}; it has {', '.join(described.methods_by_name)}")
    if found.client_streaming:
        raise NoMethod(f"{service}/{method} takes a stream of requests; one request is all that can be sent here")
    takes, gives = (message_factory.GetMessageClass(each) for each in (found.input_type, found.output_type))
    return Method(f"/{service}/{method}", bool(found.server_streaming), takes, gives, pool)


async def first(stream: AsyncIterator[bytes], most: int) -> list[bytes]:
    """At most so many messages of a stream."""
    came: list[bytes] = []
    async for content in stream:
        came.append(content)
        if len(came) == most:
            break
    return came
