"""What our client sends, and how it takes broken servers: raw frames against channel-probe (WIRE 2)."""

import gzip
import re
import zlib

import pytest
from hyperframe import frame as frames

from raw_peer import GRPC, RawPeer, call, message

OK_END = [("grpc-status", "0")]


def outcome(script, *arguments, count=1):
    with RawPeer(script) as peer:
        results = call(peer.target, "--count", str(count), *arguments)
    return results[0] if count == 1 else results


# --- requests -------------------------------------------------------------------------------------------------------


def request_of(*arguments):
    with RawPeer(lambda connection, stream, request: connection.answer(stream)) as peer:
        [result] = call(peer.target, *arguments)
        assert result["code"] == "OK", result
        return peer, peer.requests[0]


def test_w6_order_and_values_of_the_request_headers():
    """W6: order and values of the request headers."""
    peer, request = request_of("--timeout-millis", "5000", "--metadata", "x-first=1", "--metadata", "x-second=2")
    assert request.fields[:4] == [
        (":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Unary"),
        (":authority", f"127.0.0.1:{peer.port}")]
    names = request.names()
    assert names[4] == "grpc-timeout"
    assert {"te", "content-type", "user-agent"} <= set(names[5:])
    assert names[-2:] == ["x-first", "x-second"]
    assert request["te"] == "trailers" and request["content-type"] == "application/grpc"


def test_w10_the_timeout_is_what_is_left_and_fits_eight_digits():
    """W10: the timeout is what is left and fits eight digits."""
    _, request = request_of("--timeout-millis", "5000")
    digits, unit = re.fullmatch(r"(\d{1,8})([HMSmun])", request["grpc-timeout"]).groups()
    seconds = int(digits) * {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}[unit]
    assert 0 < seconds <= 5
    _, request = request_of()
    assert request["grpc-timeout"] is None


def test_w11_user_agent_with_the_applications_in_front():
    """W11: user agent with the applications in front."""
    _, request = request_of("--user-agent", "clinic/2.0")
    assert re.fullmatch(r"clinic/2\.0 grpc-swift-native/\S+ \(\w+\)", request["user-agent"])


def test_w12_authority_and_no_host():
    """W12: authority and no host."""
    peer, request = request_of()
    assert request[":authority"] == f"127.0.0.1:{peer.port}" and request["host"] is None


def test_w13_w14_illegal_and_reserved_names_do_not_leave():
    """W13, W14: illegal and reserved names do not leave."""
    with RawPeer(lambda connection, stream, request: connection.answer(stream)) as peer:
        for name in ("grpc-custom", "Upper", "te", "sp ace", "content-type"):
            [result] = call(peer.target, "--metadata", f"{name}=x")
            assert result["code"] == "INTERNAL", name
        [result] = call(peer.target, "--metadata", "x-control=a\x07b")
        assert result["code"] == "INTERNAL"
        assert peer.requests == []


def test_w15_binary_metadata_is_unpadded_base64():
    """W15: binary metadata is unpadded base64."""
    _, request = request_of("--metadata", "x-data-bin=00ff10", "--metadata", "x-more-bin=00")
    assert request["x-data-bin"] == "AP8Q" and request["x-more-bin"] == "AA"


def test_w1_preface_and_settings_come_first():
    """W1: preface and settings come first."""
    peer, _ = request_of()
    first = peer.connections[0].frames[0]
    assert isinstance(first, frames.SettingsFrame) and "ACK" not in first.flags
    assert first.settings[frames.SettingsFrame.ENABLE_PUSH] == 0


# --- responses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status,code", [
    (400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "UNIMPLEMENTED"),
    (429, "UNAVAILABLE"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "UNAVAILABLE"), (431, "INTERNAL"),
    (200, "UNKNOWN"), (302, "UNKNOWN"), (418, "UNKNOWN"), (500, "UNKNOWN")])
def test_w33_http_status_without_grpc_status(status, code):
    """W33: http status without grpc status."""
    result = outcome(lambda connection, stream, _: connection.headers(stream, [(":status", str(status))], end=True))
    assert result["code"] == code and str(status) in result["message"]


def test_w33_grpc_status_wins_over_http_status():
    """W33: grpc status wins over http status."""
    fields = [(":status", "503"), ("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "gone")]
    result = outcome(lambda connection, stream, _: connection.headers(stream, fields, end=True))
    assert (result["code"], result["message"]) == ("NOT_FOUND", "gone")


def test_w34_informational_blocks_are_skipped():
    """W34: informational blocks are skipped."""
    def script(connection, stream, _):
        connection.headers(stream, [(":status", "103"), ("link", "</x>")])
        connection.headers(stream, [(":status", "100")])
        connection.answer(stream)

    assert outcome(script)["responses"] == ["ok"]


def test_w34_an_informational_block_that_ends_the_stream_is_malformed():
    """W34: an informational block that ends the stream is malformed."""
    result = outcome(lambda connection, stream, _: connection.headers(stream, [(":status", "103")], end=True))
    assert result["code"] == "INTERNAL"


def test_w35_a_body_that_is_not_grpc_is_quoted_up_to_a_kibibyte():
    """W35: a body that is not grpc is quoted up to a kibibyte."""
    def script(connection, stream, _):
        connection.headers(stream, [(":status", "200"), ("content-type", "text/html")])
        connection.data(stream, b"<h1>Upstream " + b"x" * 5000, end=True)

    result = outcome(script)
    assert result["code"] == "UNKNOWN"
    assert "text/html" in result["message"] and "<h1>Upstream xxx" in result["message"]
    assert result["message"].count("x") < 1100


@pytest.mark.parametrize("value", ["abc", "", "-1", "17", "99"])
def test_w36_a_status_that_is_none_is_unknown_and_shown(value):
    """W36: a status that is none is unknown and shown."""
    fields = [*GRPC, ("grpc-status", value)]
    result = outcome(lambda connection, stream, _: connection.headers(stream, fields, end=True))
    assert result["code"] == "UNKNOWN" and value in result["message"]


def test_w37_no_trailers():
    """W37: no trailers."""
    def script(connection, stream, _):
        connection.headers(stream, GRPC)
        connection.data(stream, message(b"ok"), end=True)

    assert outcome(script)["code"] in ("INTERNAL", "UNKNOWN")


def test_w37_w51_a_connection_lost_after_headers_is_unavailable_and_says_where():
    """W37, W51: a connection lost after headers is unavailable and says where."""
    def script(connection, stream, _):
        connection.headers(stream, GRPC)
        connection.close()

    with RawPeer(script) as peer:
        [result] = call(peer.target)
    assert result["code"] == "UNAVAILABLE"
    for part in (peer.target, "connection lost", "attempt 1"):
        assert part in result["message"], result


@pytest.mark.parametrize("body,code", [
    (message(b"one") + message(b"two"), "UNIMPLEMENTED"),  # W26
    (b"", "UNIMPLEMENTED"),  # W26
    (message(b"truncated")[:-3], "INTERNAL"),  # W23
    (b"\x00\x00", "INTERNAL"),  # W23
    (message(b"x", flag=1), "INTERNAL"),  # W18
    (message(b"x", flag=2), "INTERNAL"),  # W18
    (message(b"\xff\xfe"), "INTERNAL"),  # W24: no text
])
def test_w18_w23_w24_w26_bodies_that_are_no_single_message(body, code):
    """W18, W23, W24, W26: bodies that are no single message."""
    def script(connection, stream, _):
        connection.headers(stream, GRPC)
        connection.data(stream, body)
        connection.headers(stream, OK_END, end=True)

    assert outcome(script)["code"] == code


def test_w22_a_message_over_the_limit_is_refused_at_its_prefix():
    """W22: a message over the limit is refused at its prefix."""
    def script(connection, stream, _):
        connection.headers(stream, GRPC)
        connection.data(stream, b"\x00\x00\x01\x00\x00")  # and nothing of its 65536 bytes

    result = outcome(script, "--max-receive", "65535")
    assert result["code"] == "RESOURCE_EXHAUSTED" and "65536" in result["message"] and "65535" in result["message"]


def test_w20_an_encoding_that_was_not_offered_is_internal():
    """W20: an encoding that was not offered is internal."""
    def script(connection, stream, _):
        connection.headers(stream, [*GRPC, ("grpc-encoding", "snappy")])
        connection.data(stream, message(b"ok", flag=1))
        connection.headers(stream, OK_END, end=True)

    result = outcome(script)
    assert result["code"] == "INTERNAL" and "snappy" in result["message"]


@pytest.mark.parametrize("block", ["headers", "trailers"])
def test_w16_a_block_over_the_limit_costs_the_call_not_the_connection(block):
    """W16: a block over the limit costs the call not the connection."""
    def script(connection, stream, request):
        if stream > 1:
            return connection.answer(stream)
        large = [(f"x-{index}", "v" * 100) for index in range(100)]
        if block == "headers":
            connection.headers(stream, [*GRPC, *large])
        else:
            connection.headers(stream, GRPC)
            connection.data(stream, message(b"ok"))
            connection.headers(stream, OK_END + large, end=True)

    with RawPeer(script) as peer:
        results = call(peer.target, "--count", "2")
        assert [result["code"] for result in results] == ["RESOURCE_EXHAUSTED", "OK"]
        assert len(peer.connections) == 1


def test_w15_binary_metadata_of_responses_padded_or_not_and_in_lists():
    """W15: binary metadata of responses padded or not and in lists."""
    trailers = [("x-a-bin", "AP8="), ("x-b-bin", "AP8"), ("x-c-bin", "AA,AQ==,Ag"), ("x-c-bin", "Aw")]
    result = outcome(lambda connection, stream, _: connection.answer(stream, trailers=trailers))
    assert result["trailing"] == [
        ["x-a-bin", "00ff"], ["x-b-bin", "00ff"], ["x-c-bin", "00"], ["x-c-bin", "01"], ["x-c-bin", "02"],
        ["x-c-bin", "03"]]


def test_w15_binary_metadata_that_is_no_base64_ends_the_call():
    """W15: binary metadata that is no base64 ends the call."""
    results = outcome(
        lambda connection, stream, _: connection.answer(stream, trailers=[("x-a-bin", "!")] if stream == 1 else []),
        count=2)
    assert [result["code"] for result in results] == ["INTERNAL", "OK"]


def test_w13_values_outside_ascii_do_not_fail_the_call_and_edge_spaces_go():
    """W13: values outside ascii do not fail the call and edge spaces go."""
    trailers = [("x-latin", b"caf\xe9"), ("x-spaced", "  a b  ")]
    result = outcome(lambda connection, stream, _: connection.answer(stream, trailers=trailers))
    assert result["code"] == "OK" and ["x-spaced", "a b"] in result["trailing"]


def test_w31_percent_encoding_never_fails():
    """W31: percent encoding never fails."""
    result = outcome(lambda connection, stream, _: connection.refuse(
        stream, 9, ("grpc-message", " %E2%9C%93 %ZZ %F0 %")))
    assert (result["code"], result["message"]) == ("FAILED_PRECONDITION", "✓ %ZZ � %")


def test_w30_a_status_in_headers_that_do_not_end_the_stream_is_ignored():
    """W30: a status in headers that do not end the stream is ignored."""
    def script(connection, stream, _):
        connection.headers(stream, [*GRPC, ("grpc-status", "9")])
        connection.data(stream, message(b"ok"))
        connection.headers(stream, OK_END, end=True)

    assert outcome(script)["code"] == "OK"


# --- repetitions ----------------------------------------------------------------------------------------------------

RETRY = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.01s",
  "maxBackoff": "0.02s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"""


def attempts(answers, *arguments):
    """Each answer is one attempt's; gives the result and `grpc-previous-rpc-attempts` of each attempt."""
    left = iter(answers)
    with RawPeer(lambda connection, stream, _: next(left)(connection, stream)) as peer:
        [result] = call(peer.target, *arguments)
        return result, [request["grpc-previous-rpc-attempts"] for request in peer.requests]


def unavailable(*more):
    return lambda connection, stream: connection.refuse(stream, 14, *more)


def answered(connection, stream):
    connection.answer(stream)


def refused(connection, stream):
    connection.send(frames.RstStreamFrame(stream, error_code=7))


def test_w54_attempts_are_counted_in_the_header():
    """W54: attempts are counted in the header."""
    result, counts = attempts([unavailable(), unavailable(), answered], "--config", RETRY)
    assert result["code"] == "OK" and counts == [None, "1", "2"]


def test_w54_at_most_max_attempts():
    """W54: at most max attempts."""
    result, counts = attempts([unavailable()] * 9, "--config", RETRY)
    assert result["code"] == "UNAVAILABLE" and counts == [None, "1", "2", "3"]


@pytest.mark.parametrize("value,expected", [("0", 2), ("15", 2), ("-1", 1), ("soon", 1)])
def test_w54_pushback_delays_or_stops(value, expected):
    """W54: pushback delays or stops."""
    pushback = ("grpc-retry-pushback-ms", value)
    result, counts = attempts([unavailable(pushback), answered, answered], "--config", RETRY)
    assert len(counts) == expected
    assert result["code"] == ("OK" if expected == 2 else "UNAVAILABLE")


def test_w54_response_headers_commit_the_call():
    """W54: response headers commit the call."""
    def begins(connection, stream):
        connection.headers(stream, GRPC)
        connection.headers(stream, [("grpc-status", "14")], end=True)

    result, counts = attempts([begins, answered], "--config", RETRY)
    assert result["code"] == "UNAVAILABLE" and counts == [None]


def test_w54_a_refused_stream_is_repeated_once_without_policy_and_does_not_count():
    """W54: a refused stream is repeated once without policy and does not count."""
    result, counts = attempts([refused, answered])
    assert result["code"] == "OK" and counts == [None, None]
    result, counts = attempts([refused, refused, answered])
    assert result["code"] == "UNAVAILABLE" and counts == [None, None]
    result, counts = attempts([refused, refused, answered], "--config", RETRY)
    assert result["code"] == "OK" and counts == [None, None, "1"]


def test_w54_a_throttled_channel_does_not_repeat():
    """W54: a throttled channel does not repeat."""
    config = RETRY[:-1] + ', "retryThrottling": {"maxTokens": 2, "tokenRatio": 0.1}}'
    result, counts = attempts([unavailable()] * 9, "--config", config)
    assert result["code"] == "UNAVAILABLE" and counts == [None]


def test_w54_another_code_is_not_repeated():
    """W54: another code is not repeated."""
    result, counts = attempts([lambda c, s: c.refuse(s, 13), answered], "--config", RETRY)
    assert result["code"] == "INTERNAL" and counts == [None]


# --- service config -------------------------------------------------------------------------------------------------


def test_w55_a_methods_timeout_and_sizes_hold():
    config = """{"methodConfig": [{"name": [{"service": "test.Echo"}], "timeout": "7s", "maxRequestMessageBytes": 4,
      "maxResponseMessageBytes": 1}]}"""
    with RawPeer(lambda connection, stream, request: connection.answer(stream)) as peer:
        [result] = call(peer.target, "--config", config, "--message", "four")
        assert result["code"] == "RESOURCE_EXHAUSTED" and "2 bytes" in result["message"]
        assert peer.requests[0]["grpc-timeout"] is not None
        [result] = call(peer.target, "--config", config, "--message", "five!")
        assert result["code"] == "RESOURCE_EXHAUSTED" and "5 bytes" in result["message"]
        assert len(peer.requests) == 1


# --- compression ----------------------------------------------------------------------------------------------------

ENCODE = {"gzip": gzip.compress, "deflate": zlib.compress}


def test_w21_every_request_says_which_encodings_are_read():
    """W21: every request says which encodings are read."""
    _, request = request_of()
    assert set(request["grpc-accept-encoding"].split(",")) == {"identity", "deflate", "gzip"}
    assert request["grpc-encoding"] is None


@pytest.mark.parametrize("encoding", ENCODE)
def test_w19_requests_are_compressed_when_asked(encoding):
    """W18, W19: requests are compressed when asked, each message on its own, and short ones go as they are."""
    _, request = request_of("--encoding", encoding, "--message", "a" * 1000)
    assert request["grpc-encoding"] == encoding
    assert request.body[0] == 1 and len(request.body) < 100
    decode = gzip.decompress if encoding == "gzip" else zlib.decompress
    assert decode(request.body[5:]) == b"a" * 1000
    _, request = request_of("--encoding", encoding, "--message", "a")
    assert request.body == message(b"a")


@pytest.mark.parametrize("encoding", ENCODE)
def test_w21_responses_are_read_in_any_offered_encoding(encoding):
    """W19, W21: responses are read in any offered encoding, also messages of no bytes and such as are not compressed."""
    def script(connection, stream, _):
        connection.headers(stream, [*GRPC, ("grpc-encoding", encoding)])
        connection.data(stream, message(ENCODE[encoding]("é".encode() * 5000), flag=1))
        connection.data(stream, message(b"plain") + message(b"", flag=1) + message(ENCODE[encoding](b""), flag=1))
        connection.headers(stream, OK_END, end=True)

    result = outcome(script, "--kind", "serverStreaming")
    assert result["code"] == "OK" and result["responses"] == ["é" * 5000, "plain", "", ""]


@pytest.mark.parametrize("encoding", ENCODE)
@pytest.mark.parametrize("kind", ["unary", "serverStreaming"])
def test_w20_a_response_that_cannot_be_inflated_is_internal(encoding, kind):
    """W20: a response that cannot be inflated is INTERNAL, and costs the call, not the connection."""
    def script(connection, stream, _):
        if stream > 1:
            return connection.answer(stream)
        connection.headers(stream, [*GRPC, ("grpc-encoding", encoding)])
        connection.data(stream, message(ENCODE[encoding](b"x" * 1000)[:-4], flag=1))
        connection.headers(stream, OK_END, end=True)

    with RawPeer(script) as peer:
        results = call(peer.target, "--kind", kind, "--count", "2")
        assert [result["code"] for result in results] == ["INTERNAL", "OK"], results
        assert len(peer.connections) == 1


@pytest.mark.parametrize("size,code", [(4_000_000, "OK"), (4_000_001, "RESOURCE_EXHAUSTED")])
def test_w22_the_limit_holds_for_what_is_inflated(size, code):
    """W22: the limit holds for what is inflated; a bomb of four kilobytes is not unpacked beyond it."""
    def script(connection, stream, _):
        connection.headers(stream, [*GRPC, ("grpc-encoding", "gzip")])
        connection.data(stream, message(gzip.compress(b"x" * size), flag=1))
        connection.headers(stream, OK_END, end=True)

    result = outcome(script, "--max-receive", "4000000")
    assert result["code"] == code
    if code != "OK":
        assert "/test.Echo/Unary" in result["message"] and "maxReceiveMessageLength" in result["message"]


def test_w20_a_server_that_cannot_read_the_encoding_says_unimplemented():
    """W20: a server that cannot read the encoding says UNIMPLEMENTED, and so does the call."""
    result = outcome(lambda connection, stream, _: connection.refuse(
        stream, 12, ("grpc-accept-encoding", "identity")), "--encoding", "gzip", "--message", "a" * 100)
    assert result["code"] == "UNIMPLEMENTED"
