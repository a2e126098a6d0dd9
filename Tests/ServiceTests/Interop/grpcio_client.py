"""The client side of gRPC's interop tests on Python's grpcio.

grpcio neither says whether a response came compressed nor compresses single messages of a stream, so that
`client_compressed_streaming` is not here, and the cases of compressed responses check that these are understood.
"""

import queue
import threading

import grpc
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc

import certificates

SECONDS = 60
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
REQUEST_SIZES, RESPONSE_SIZES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
ECHO_INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
ECHO_TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


def run(case: str, port: int, keys: certificates.Keys | None):
    options = [("grpc.use_local_subchannel_pool", 1)]
    if keys:
        options.append(("grpc.ssl_target_name_override", certificates.SERVER_NAME))
        credentials = grpc.ssl_channel_credentials(keys.ca.read_bytes())
        channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
    else:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
    with channel:
        CASES[case](channel)


def _zeros(size):
    return messages_pb2.Payload(body=bytes(size))


def _is_zeros(payload, size):
    assert payload.body == bytes(size), f"a payload of {len(payload.body)} bytes instead of {size} zeros"


def _large(**fields):
    return messages_pb2.SimpleRequest(response_size=LARGE_RESPONSE, payload=_zeros(LARGE_REQUEST), **fields)


def _asking(response, request):
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=response)], payload=_zeros(request))


def _flag(value):
    return messages_pb2.BoolValue(value=value)


def _fails(code, call, message=None):
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} ({error.details()}) instead of {code}"
        assert message is None or error.details() == message
        return
    raise AssertionError(f"the call answered {str(answer)[:100]} instead of failing with {code}")


class Requests:
    """The requests of a call, one by one; `end` half-closes it."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def __iter__(self):
        return iter(self._queue.get, None)

    def put(self, request):
        self._queue.put(request)

    def end(self):
        self._queue.put(None)


def empty_unary(channel):
    answer = test_pb2_grpc.TestServiceStub(channel).EmptyCall(empty_pb2.Empty(), timeout=SECONDS)
    assert answer.ByteSize() == 0


def large_unary(channel):
    _is_zeros(test_pb2_grpc.TestServiceStub(channel).UnaryCall(_large(), timeout=SECONDS).payload, LARGE_RESPONSE)


def client_streaming(channel):
    requests = (messages_pb2.StreamingInputCallRequest(payload=_zeros(size)) for size in REQUEST_SIZES)
    answer = test_pb2_grpc.TestServiceStub(channel).StreamingInputCall(requests, timeout=SECONDS)
    assert answer.aggregated_payload_size == 74922


def server_streaming(channel):
    request = messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=size) for size in RESPONSE_SIZES])
    answers = list(test_pb2_grpc.TestServiceStub(channel).StreamingOutputCall(request, timeout=SECONDS))
    assert [len(answer.payload.body) for answer in answers] == list(RESPONSE_SIZES)


def ping_pong(channel):
    requests = Requests()
    answers = test_pb2_grpc.TestServiceStub(channel).FullDuplexCall(iter(requests), timeout=SECONDS)
    for request, response in zip(REQUEST_SIZES, RESPONSE_SIZES):
        requests.put(_asking(response, request))
        _is_zeros(next(answers).payload, response)
    requests.end()
    assert next(answers, None) is None


def empty_stream(channel):
    assert not list(test_pb2_grpc.TestServiceStub(channel).FullDuplexCall(iter(()), timeout=SECONDS))


def client_compressed_unary(channel):
    call = test_pb2_grpc.TestServiceStub(channel).UnaryCall
    probe = _large(expect_compressed=_flag(True))
    _fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(probe, timeout=SECONDS))
    answer = call(probe, timeout=SECONDS, compression=grpc.Compression.Gzip)
    _is_zeros(answer.payload, LARGE_RESPONSE)
    answer = call(probe, timeout=SECONDS, compression=grpc.Compression.Deflate)
    _is_zeros(answer.payload, LARGE_RESPONSE)
    _is_zeros(call(_large(expect_compressed=_flag(False)), timeout=SECONDS).payload, LARGE_RESPONSE)


def server_compressed_unary(channel):
    for compressed in (True, False):
        request = _large(response_compressed=_flag(compressed))
        answer = test_pb2_grpc.TestServiceStub(channel).UnaryCall(request, timeout=SECONDS)
        _is_zeros(answer.payload, LARGE_RESPONSE)


def server_compressed_streaming(channel):
    request = messages_pb2.StreamingOutputCallRequest(
        response_parameters=[
            messages_pb2.ResponseParameters(compressed=_flag(True), size=31415),
            messages_pb2.ResponseParameters(compressed=_flag(False), size=92653)])
    answers = list(test_pb2_grpc.TestServiceStub(channel).StreamingOutputCall(request, timeout=SECONDS))
    assert [len(answer.payload.body) for answer in answers] == [31415, 92653]


def custom_metadata(channel):
    stub, metadata = test_pb2_grpc.TestServiceStub(channel), (ECHO_INITIAL, ECHO_TRAILING)
    answer, call = stub.UnaryCall.with_call(_large(), timeout=SECONDS, metadata=metadata)
    _is_zeros(answer.payload, LARGE_RESPONSE)
    _echoed(call)
    requests = iter([_asking(LARGE_RESPONSE, LARGE_REQUEST)])
    answers = stub.FullDuplexCall(requests, timeout=SECONDS, metadata=metadata)
    (answer,) = answers
    _is_zeros(answer.payload, LARGE_RESPONSE)
    _echoed(answers)


def _echoed(call):
    assert ECHO_INITIAL in [(item.key, item.value) for item in call.initial_metadata()]
    assert ECHO_TRAILING in [(item.key, item.value) for item in call.trailing_metadata()]


def status_code_and_message(channel):
    stub = test_pb2_grpc.TestServiceStub(channel)
    status = messages_pb2.EchoStatus(code=2, message="test status message")
    request = messages_pb2.SimpleRequest(response_status=status)
    _fails(grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(request, timeout=SECONDS), status.message)
    requests = [messages_pb2.StreamingOutputCallRequest(response_status=status)]
    _fails(
        grpc.StatusCode.UNKNOWN, lambda: list(stub.FullDuplexCall(iter(requests), timeout=SECONDS)), status.message)


def special_status_message(channel):
    status = messages_pb2.EchoStatus(code=2, message=SPECIAL_MESSAGE)
    request = messages_pb2.SimpleRequest(response_status=status)
    call = test_pb2_grpc.TestServiceStub(channel).UnaryCall
    _fails(grpc.StatusCode.UNKNOWN, lambda: call(request, timeout=SECONDS), SPECIAL_MESSAGE)


def unimplemented_method(channel):
    call = test_pb2_grpc.TestServiceStub(channel).UnimplementedCall
    _fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(empty_pb2.Empty(), timeout=SECONDS))


def unimplemented_service(channel):
    call = test_pb2_grpc.UnimplementedServiceStub(channel).UnimplementedCall
    _fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(empty_pb2.Empty(), timeout=SECONDS))


def cancel_after_begin(channel):
    empty_unary(channel)  # a connection that stands already, so that the request's headers leave first
    requests, begun = Requests(), threading.Event()

    def held():
        begun.set()
        yield from requests

    call = test_pb2_grpc.TestServiceStub(channel).StreamingInputCall.future(held(), timeout=SECONDS)
    assert begun.wait(SECONDS)
    call.cancel()
    assert call.cancelled()
    assert call.code() == grpc.StatusCode.CANCELLED
    requests.end()


def cancel_after_first_response(channel):
    requests = Requests()
    requests.put(_asking(RESPONSE_SIZES[0], REQUEST_SIZES[0]))
    answers = test_pb2_grpc.TestServiceStub(channel).FullDuplexCall(iter(requests), timeout=SECONDS)
    _is_zeros(next(answers).payload, RESPONSE_SIZES[0])
    answers.cancel()
    _fails(grpc.StatusCode.CANCELLED, lambda: next(answers))
    requests.end()


def timeout_on_sleeping_server(channel):
    empty_unary(channel)  # a connection that stands already, so that the time is not spent on making it
    requests = Requests()
    requests.put(messages_pb2.StreamingOutputCallRequest(payload=_zeros(REQUEST_SIZES[0])))
    answers = test_pb2_grpc.TestServiceStub(channel).FullDuplexCall(iter(requests), timeout=0.001)
    _fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(answers))
    requests.end()


CASES = {
    function.__name__: function
    for function in (
        empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream,
        client_compressed_unary, server_compressed_unary, server_compressed_streaming, custom_metadata,
        status_code_and_message, special_status_message, unimplemented_method, unimplemented_service,
        cancel_after_begin, cancel_after_first_response, timeout_on_sleeping_server)
}
