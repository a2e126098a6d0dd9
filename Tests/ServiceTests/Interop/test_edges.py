"""What the interop tests leave out: edges of statuses, metadata, sizes and numbers, as grpcio sees our server.

Rules are named by their number; the oracle is grpcio.
"""

import concurrent.futures
import pathlib
import tempfile

import grpc
import pytest
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc

import certificates
import grpcio_client
import peers

SECONDS = 60
MEBIBYTE = 1024 * 1024


@pytest.fixture
def channel(server_of):
    # Its own limit is out of the way, so that it is the server's that shows.
    options = [
        ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1),
        ("grpc.max_metadata_size", MEBIBYTE), ("grpc.absolute_max_metadata_size", MEBIBYTE)]
    with grpc.insecure_channel(f"127.0.0.1:{server_of('ours', False)}", options) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return test_pb2_grpc.TestServiceStub(channel)


def failure(call, *arguments, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, timeout=SECONDS, **options)
    return error.value


def echoing(code: int, message: str):
    return messages_pb2.SimpleRequest(response_status=messages_pb2.EchoStatus(code=code, message=message))


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_code_arrives(code, stub):
    error = failure(stub.UnaryCall, echoing(code.value[0], "why"))
    assert (error.code(), error.details()) == (code, "why")


@pytest.mark.parametrize("code", [-1, 17, 2**31 - 1])
def test_a_code_that_is_none_becomes_unknown(code, stub):
    assert failure(stub.UnaryCall, echoing(code, "why")).code() == grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(
    "message",
    ["", " ", " x ", "%", "%41", "100 % sure", "a%2", "\0", "\x7f", "é", "\U0010ffff", "☺" * 500, "~" * 4000])
def test_a_status_message_arrives_as_it_is(message, stub):
    """W31: percent-encoding both ways."""
    assert failure(stub.UnaryCall, echoing(3, message)).details() == message


@pytest.mark.parametrize(
    "value", [b"", b"\0", b"\xff", b"\0\xff" * 8, bytes(range(256)), b"x" * 4000], ids=lambda value: str(len(value)))
def test_binary_metadata_arrives_as_it_is(value, stub):
    """W15: base64 of any bytes."""
    metadata = [("x-grpc-test-echo-trailing-bin", value)]
    _, call = stub.EmptyCall.with_call(empty_pb2.Empty(), timeout=SECONDS, metadata=metadata)
    assert [item.value for item in call.trailing_metadata()] == [value]


def test_duplicates_keep_their_order(stub):
    """W15: also with an empty value among them."""
    metadata = [("x-grpc-test-echo-trailing-bin", value) for value in (b"2", b"", b"1", b"2")]
    _, call = stub.EmptyCall.with_call(empty_pb2.Empty(), timeout=SECONDS, metadata=metadata)
    assert [(item.key, item.value) for item in call.trailing_metadata()] == metadata


@pytest.mark.parametrize("value", ["", "~", "a, b", "\"%41\"", "x" * 4000])
def test_ascii_metadata_arrives_as_it_is(value, stub):
    """W13: every printable character."""
    metadata = [("x-grpc-test-echo-initial", value)]
    _, call = stub.EmptyCall.with_call(empty_pb2.Empty(), timeout=SECONDS, metadata=metadata)
    assert [item.value for item in call.initial_metadata()] == [value]


def test_metadata_over_the_limit_fails_its_call_and_no_other(stub):
    """W16: RESOURCE_EXHAUSTED for that call; the connection lives on."""
    metadata = [("x-large", "x" * 20_000)]
    assert failure(stub.EmptyCall, empty_pb2.Empty(), metadata=metadata).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    stub.EmptyCall(empty_pb2.Empty(), timeout=SECONDS)


def of_serialized_size(size: int):
    """A request of exactly this many bytes, for sizes whose payload needs four bytes of length."""
    overhead = messages_pb2.SimpleRequest(payload=messages_pb2.Payload(body=bytes(size - 16))).ByteSize() - (size - 16)
    request = messages_pb2.SimpleRequest(payload=messages_pb2.Payload(body=bytes(size - overhead)))
    assert request.ByteSize() == size
    return request


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=lambda c: c.name)
def test_the_receive_limit_is_inclusive_and_counts_what_is_inflated(compression, stub):
    """W22: at n and n + 1, with the limit in the message."""
    stub.UnaryCall(of_serialized_size(4 * MEBIBYTE), timeout=SECONDS, compression=compression)
    error = failure(stub.UnaryCall, of_serialized_size(4 * MEBIBYTE + 1), compression=compression)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "4194304" in error.details()


def test_a_response_of_many_windows_arrives_whole(stub):
    answer = stub.UnaryCall(messages_pb2.SimpleRequest(response_size=20 * MEBIBYTE), timeout=SECONDS)
    assert answer.payload.body == bytes(20 * MEBIBYTE)


def test_a_size_that_cannot_be_made_is_refused(stub):
    for size in (-1, 2**31 - 1):
        error = failure(stub.UnaryCall, messages_pb2.SimpleRequest(response_size=size))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_half_duplex_answers_in_order_after_the_half_close(stub):
    def asking(*sizes):
        return messages_pb2.StreamingOutputCallRequest(
            response_parameters=[messages_pb2.ResponseParameters(size=size) for size in sizes])

    answers = stub.HalfDuplexCall(iter([asking(1, 2), asking(), asking(3)]), timeout=SECONDS)
    assert [len(answer.payload.body) for answer in answers] == [1, 2, 3]


def test_more_calls_than_streams_are_queued_by_the_client_and_all_served(stub):
    """W57: grpcio keeps to the streams that our SETTINGS allow."""
    request = messages_pb2.SimpleRequest(response_size=20_000, payload=messages_pb2.Payload(body=bytes(20_000)))
    calls = [stub.UnaryCall.future(request, timeout=SECONDS) for _ in range(400)]
    assert all(len(call.result().payload.body) == 20_000 for call in calls)


def test_streams_side_by_side_do_not_mix(stub):
    def stream(seed):
        sizes = [seed * 1000 + turn for turn in range(40)]
        request = messages_pb2.StreamingOutputCallRequest(
            response_parameters=[
                messages_pb2.ResponseParameters(size=size, compressed=messages_pb2.BoolValue(value=size % 3 == 0))
                for size in sizes])
        return sizes, [len(answer.payload.body) for answer in stub.StreamingOutputCall(request, timeout=SECONDS)]

    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        for expected, actual in callers.map(stream, range(16)):
            assert actual == expected


def test_a_stream_that_is_read_slowly_is_not_lost(stub):
    request = messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=MEBIBYTE)] * 8)
    answers = stub.StreamingOutputCall(request, timeout=SECONDS)
    first = next(answers)
    for _ in range(50):  # others are served while it waits
        stub.EmptyCall(empty_pb2.Empty(), timeout=SECONDS)
    assert len(first.payload.body) == MEBIBYTE
    assert [len(answer.payload.body) for answer in answers] == [MEBIBYTE] * 7


def test_a_deadline_ends_a_stream_that_waits(stub):
    """W40: and its connection lives on."""
    request = messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=1, interval_us=2**31 - 1)])
    with pytest.raises(grpc.RpcError) as error:
        list(stub.StreamingOutputCall(request, timeout=0.2))
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    stub.EmptyCall(empty_pb2.Empty(), timeout=SECONDS)


def test_a_client_that_cancels_call_after_call_is_not_cut_off(stub):
    """libnghttp2 by itself ends the connection near the 1067th."""
    held = grpcio_client.Requests()
    witness = stub.FullDuplexCall(iter(held), timeout=SECONDS)  # dies with its connection
    once = messages_pb2.ResponseParameters(size=1)
    held.put(messages_pb2.StreamingOutputCallRequest(response_parameters=[once]))
    next(witness)
    never = messages_pb2.ResponseParameters(size=1, interval_us=2**31 - 1)
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=[once, never])
    for _ in range(2500):
        call = stub.StreamingOutputCall(request, timeout=SECONDS)
        next(call)  # it has begun at the server
        call.cancel()
    held.put(messages_pb2.StreamingOutputCallRequest(response_parameters=[once]))
    assert len(next(witness).payload.body) == 1
    held.end()
    assert next(witness, None) is None


# --- Unix sockets -----------------------------------------------------------------------------------------------------

@pytest.fixture
def unix_socket():
    # Not below pytest's folders: a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        yield pathlib.Path(directory) / "server.sock"


def test_grpcio_reaches_our_server_at_a_unix_socket(unix_socket):
    with peers.server("ours", None, unix_socket), grpc.insecure_channel(f"unix:{unix_socket}") as channel:
        for case in ("large_unary", "ping_pong", "custom_metadata", "cancel_after_first_response"):
            grpcio_client.CASES[case](channel)


def test_our_client_reaches_grpcio_at_a_unix_socket(unix_socket):
    with peers.server("grpcio", None, unix_socket):
        for case in ("large_unary", "ping_pong", "custom_metadata", "cancel_after_first_response"):
            command = [peers.OURS / "interop-client", f"--server_uri=unix:{unix_socket}", f"--test_case={case}"]
            result = peers.run(command)
            assert result.returncode == 0, result.stderr


# --- certificates -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("server", ["ours", "grpcio", "cpp"])
def test_our_client_refuses_a_server_of_another_name(server, server_of, keys):
    refused = peers.client_command("ours", "empty_unary", server_of(server, True), keys, name="other.test.example")
    result = peers.run(refused)
    assert result.returncode == 1
    assert "UNAVAILABLE" in result.stderr


@pytest.mark.parametrize("server", ["ours", "grpcio", "cpp"])
def test_our_client_refuses_a_server_of_another_authority(server, server_of, keys, tmp_path):
    stranger = certificates.Keys(tmp_path)
    result = peers.run(peers.client_command("ours", "empty_unary", server_of(server, True), stranger))
    assert result.returncode == 1
    assert "UNAVAILABLE" in result.stderr


@pytest.mark.parametrize("server", ["ours", "grpcio", "cpp"])
def test_our_client_says_what_is_wrong_when_only_one_side_speaks_tls(server, server_of, keys):
    for tls in (True, False):
        command = peers.client_command("ours", "empty_unary", server_of(server, not tls), keys if tls else None)
        result = peers.run(command)
        assert result.returncode == 1
        assert "UNAVAILABLE" in result.stderr
