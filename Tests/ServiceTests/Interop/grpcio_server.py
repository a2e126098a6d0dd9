"""gRPC's interop test service on Python's grpcio.

grpcio does not tell a handler whether a request came compressed, so that this server cannot answer `expect_compressed`.
"""

import concurrent.futures
import contextlib
import pathlib
import time

import grpc
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc

import certificates

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class TestService(test_pb2_grpc.TestServiceServicer):
    __test__ = False  # for pytest

    def EmptyCall(self, request, context):
        _echo_metadata(context)
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        _echo_metadata(context)
        _echo_status(request, context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        return messages_pb2.SimpleResponse(payload=_zeros(request.response_size))

    def StreamingOutputCall(self, request, context):
        _echo_metadata(context)
        yield from _answers(request, context)

    def StreamingInputCall(self, request_iterator, context):
        _echo_metadata(context)
        size = sum(len(request.payload.body) for request in request_iterator)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=size)

    def FullDuplexCall(self, request_iterator, context):
        _echo_metadata(context)
        for request in request_iterator:
            yield from _answers(request, context)

    def HalfDuplexCall(self, request_iterator, context):
        _echo_metadata(context)
        for request in list(request_iterator):
            yield from _answers(request, context)


def _answers(request, context):
    _echo_status(request, context)
    if any(parameters.compressed.value for parameters in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    for parameters in request.response_parameters:
        time.sleep(parameters.interval_us / 1e6)
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield messages_pb2.StreamingOutputCallResponse(payload=_zeros(parameters.size))


def _zeros(size: int):
    return messages_pb2.Payload(body=bytes(size))


def _echo_metadata(context):
    metadata = list(context.invocation_metadata())
    initial = [item for item in metadata if item.key == "x-grpc-test-echo-initial"]
    if initial:
        context.send_initial_metadata(initial)
    context.set_trailing_metadata([item for item in metadata if item.key == "x-grpc-test-echo-trailing-bin"])


def _echo_status(request, context):
    if request.HasField("response_status"):
        context.abort(STATUS_CODES[request.response_status.code], request.response_status.message)


@contextlib.contextmanager
def serving(keys: certificates.Keys | None, unix_socket: pathlib.Path | None = None):
    """Serves on the loopback, over TLS if there are keys, and at a path, in cleartext. Gives the port."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    test_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
    if keys:
        pair = (keys.key.read_bytes(), keys.certificate.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    if unix_socket:
        server.add_insecure_port(f"unix:{unix_socket}")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
