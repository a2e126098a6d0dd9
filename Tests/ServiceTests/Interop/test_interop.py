"""gRPC's interop tests: our client against other servers, other clients against our server, and ours against ours.

Source: gRPC "Interoperability Test Case Descriptions". The names of cases are those of the descriptions.
"""

import pytest

import peers

PLAIN_CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server"]
CLIENT_COMPRESSED = ["client_compressed_unary", "client_compressed_streaming"]
SERVER_COMPRESSED = ["server_compressed_unary", "server_compressed_streaming"]
OUR_EDGES = ["status_edges", "metadata_edges", "message_limit", "many_calls", "abandoned_streams"]
ALL_CASES = [*PLAIN_CASES, *CLIENT_COMPRESSED, *SERVER_COMPRESSED]

# What grpcio can play: its server does not learn which requests were compressed, and its client compresses all messages
# of a stream or none.
MATRIX = [
    *[("ours", "ours", case) for case in ALL_CASES],
    *[("ours", "grpcio", case) for case in [*PLAIN_CASES, *SERVER_COMPRESSED]],
    *[("grpcio", "ours", case) for case in [*PLAIN_CASES, *SERVER_COMPRESSED, "client_compressed_unary"]],
    *[("ours", "cpp", case) for case in ALL_CASES],
    *[("cpp", "ours", case) for case in ALL_CASES],
]


@pytest.mark.parametrize("server", ["ours", "grpcio", "cpp"])
@pytest.mark.parametrize("case", OUR_EDGES)
def test_edges_of_our_client(case, server, server_of):
    """W13, W15, W22, W31, W57 and the credit of abandoned streams, as other servers hold them to our client."""
    peers.run_client("ours", case, server_of(server, False), None)


@pytest.mark.parametrize("transport", ["cleartext", "tls"])
@pytest.mark.parametrize(("client", "server", "case"), MATRIX)
def test_interop(client, server, case, transport, server_of, keys):
    tls = transport == "tls"
    peers.run_client(client, case, server_of(server, tls), keys if tls else None)
