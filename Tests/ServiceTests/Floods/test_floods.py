"""Floods against a real process: memory stays bounded, others do not notice, and counters say what happened.

CLINICAVOICE_FLOOD_RESETS: rapid resets sent (60 000; `deploy/test --full` sends a million).
"""

import contextlib
import os
import random
import resource
import time

import pytest

import wire
from wire import ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS
from wire import WINDOW_UPDATE, Bystander, RawPeer, Server, frame, literal, request

RESETS = int(os.environ.get("CLINICAVOICE_FLOOD_RESETS", "60000"))
ALLOWED_GROWTH = 64 << 20


@pytest.fixture(scope="module")
def server():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def quiet_server():
    """One that nobody attacked: after a flood of resets on others, each connection has a tenth of its allowance."""
    server = Server()
    yield server
    server.stop()


@contextlib.contextmanager
def looking_on(server):
    """Somebody who calls meanwhile, and says afterwards whether anything was to be noticed."""
    with Bystander(server) as bystander:
        yield bystander
        calls = bystander.calls
        wire.wait_until(lambda: bystander.calls >= calls + 10 or bystander.errors)
    assert server.process.poll() is None
    growth = server.memory("VmHWM") - server.idle
    print(f"{growth / 2**20:.1f} MiB above idle at most; {bystander.calls} calls beside it; {server.trips()}")
    assert bystander.errors == []
    assert growth <= ALLOWED_GROWTH


@pytest.fixture
def bystander(server):
    with looking_on(server) as bystander:
        yield bystander


def test_rapid_resets(server, bystander):
    """S3-rapid-reset: resets by the thousand end their connections, again and again."""
    headers, sent, connections = request("Echo"), 0, 0
    while sent < RESETS:
        peer, stream = RawPeer(server.port), 1
        connections += 1
        while sent < RESETS:
            batch = b"".join(
                frame(HEADERS, headers, END_HEADERS, id) + frame(RST_STREAM, CANCEL.to_bytes(4), stream=id)
                for id in range(stream, stream + 2000, 2))
            if not peer.send(batch):
                break
            stream += 2000
            sent += 1000
        peer.close()
    trips = server.trips()
    assert trips.get("too_many_resets", 0) + trips.get("too_many_started_resets", 0) >= max(1, RESETS // 100_000)


def test_rapid_resets_of_calls_that_are_answered(server, bystander):
    """S3-rapid-reset: handlers that had begun leave nothing behind. Fewer, since answers are waited for."""
    call = [frame(HEADERS, request("Echo"), END_HEADERS), frame(DATA, b"\0\0\0\0\0")]
    left = max(5_000, RESETS // 50)
    while left > 0:
        peer, stream = RawPeer(server.port, RawPeer.START + frame(WINDOW_UPDATE, (1 << 30).to_bytes(4))), 1
        while left > 0 and not peer.is_closed:
            ids = range(stream, stream + 100, 2)
            peer.received = b""
            peer.send(b"".join(part[:5] + id.to_bytes(4) + part[9:] for id in ids for part in call))
            answer = frame(DATA, b"\0\0\0\0\0", stream=ids[-1])
            peer.wait(lambda peer: peer.is_closed or answer in peer.received)
            peer.send(b"".join(frame(RST_STREAM, CANCEL.to_bytes(4), stream=id) for id in ids))
            stream += 100
            left -= 50
        peer.close()


FLOODS = {
    "too_many_pings": frame(PING, b"12345678") * 20_000,
    "too_many_settings": frame(SETTINGS) * 20_000,
    "too_many_empty_data_frames": frame(HEADERS, request("Echo"), END_HEADERS, 1) + frame(DATA, stream=1) * 20_000,
    "too_large_decoded_headers": frame(
        HEADERS, request("Get") + literal(b"x-b", b"b" * 4000, 0x40) + b"\xbe" * 7900, END_HEADERS, 1),
    "too_many_continuations": frame(HEADERS, request("Get"), 0, 1) + frame(CONTINUATION, stream=1) * 20_000,
    "too_many_provoked_resets": b"".join(
        frame(HEADERS, request("Echo") + literal(b"connection", b"x"), END_HEADERS, id) for id in range(1, 2001, 2)),
}


@pytest.mark.parametrize("budget", FLOODS)
def test_flood(server, bystander, budget):
    """S3-ping-flood, S3-settings-flood, S3-empty-data, S3-header-list, S3-continuation-flood, S3-made-you-reset: cut off."""
    before = server.trips().get(budget, 0)
    peer = RawPeer(server.port)
    peer.send(FLOODS[budget])
    peer.wait()
    assert server.trips()[budget] == before + 1


def test_half_open_connections(server, bystander):
    """S3-slow-loris, S3-half-header-block: a thousand connections that do not go on are closed in time."""
    half_block = wire.PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK) + frame(HEADERS, request("Get"), 0, 1)
    starts = [b"", wire.PREFACE, wire.PREFACE + frame(SETTINGS), half_block]
    peers = [RawPeer(server.port, starts[index % 4]) for index in range(1000)]
    for peer in peers:
        peer.wait()
        peer.close()
    trips = server.trips()
    assert trips["handshake_timeout"] == 750
    assert trips["header_block_timeout"] == 250


WIDE_OPEN = frame(SETTINGS, b"\0\4" + (2**31 - 1).to_bytes(4)) + frame(WINDOW_UPDATE, (2**31 - 65536).to_bytes(4))


@pytest.mark.parametrize(
    ("windows", "budget", "trips"), [(b"", "stream_stalled", 100), (WIDE_OPEN, "connection_stalled", 1)])
def test_reader_that_never_reads(windows, budget, trips):
    """S3-slow-reader: 100 calls for 100 MB each, of which nothing is read, hold little and are given up, by name.

    With windows as they are each call waits for its own; with windows as wide as can be all wait for the socket.
    """
    server = Server("--stall-seconds", "3")
    calls = b"".join(
        frame(HEADERS, request("Blast"), END_HEADERS, id) + frame(DATA, b"\0\0\0\0\0", END_STREAM, id)
        for id in range(1, 201, 2))
    try:
        with looking_on(server):
            peer = RawPeer(server.port, RawPeer.START + windows + calls)
            wire.wait_until(lambda: server.trips().get(budget, 0) == trips)
            peer.close()
    finally:
        server.stop()


def test_many_cancels_are_no_flood(quiet_server):
    """S3-rapid-reset, W40: 10 000 calls that are cancelled in a row, on one connection, do not end it."""
    peer = RawPeer(quiet_server.port)
    headers = request("Echo")
    for first in range(1, 20_001, 100):
        assert peer.send(b"".join(frame(HEADERS, headers, END_HEADERS, id) for id in range(first, first + 100, 2)))
        assert peer.send(
            b"".join(frame(RST_STREAM, CANCEL.to_bytes(4), stream=id) for id in range(first, first + 100, 2)))
    assert peer.send(frame(HEADERS, request("Get"), END_HEADERS, 20_001) + frame(DATA, b"\0\0\0\0\0", END_STREAM, 20_001))
    peer.wait(lambda peer: any(kind == DATA and stream == 20_001 for kind, _, stream, _ in peer.frames()))
    assert all(kind != GOAWAY for kind, _, _, _ in peer.frames())
    peer.close()


@pytest.mark.parametrize("seed", range(int(os.environ.get("CLINICAVOICE_FLOOD_SEEDS", "20"))))
def test_garbage(server, bystander, seed):
    """Random bytes, and random frames, after a valid preface never do worse than end their connection."""
    chance = random.Random(seed)
    for _ in range(20):
        peer = RawPeer(server.port)
        for _ in range(20):
            payload = chance.randbytes(chance.randrange(200))
            kind, flags, stream = chance.randrange(12), chance.randrange(256), chance.randrange(6)
            peer.send(payload if chance.random() < 0.1 else frame(kind, payload, flags, stream))
        peer.close()


def test_connections_per_listener():
    """S3-idle: connections over the limit are closed, and others are served when those have gone."""
    server = Server("--connections", "20")
    try:
        peers = [RawPeer(server.port) for _ in range(30)]
        for peer in peers[20:]:
            peer.wait()
        for peer in peers:
            peer.close()
        assert server.trips()["too_many_connections"] >= 10
    finally:
        server.stop()


def test_no_descriptors_left():
    """S3-idle: without descriptors the server waits instead of spinning, and goes on when there are some again."""
    server = Server(files=40)
    try:
        peers = [RawPeer(server.port, b"") for _ in range(60)]
        before = server.cpu_seconds()
        time.sleep(2)  # the span that is measured
        assert server.cpu_seconds() - before < 1
        for peer in peers:
            peer.close()
        assert server.trips()["no_descriptors"] >= 1
    finally:
        server.stop()
