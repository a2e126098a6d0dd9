"""HTTP/2 frames by hand (RFC 9113), a peer that sends them, and the server under attack."""

import contextlib
import os
import pathlib
import resource
import select
import socket
import subprocess
import threading
import time

import grpc

BINARIES = pathlib.Path(os.environ["CLINICAVOICE_BINARIES"])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = 8
PATIENCE = 120  # seconds; a bound, not an expectation


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """A header field without Huffman coding; `first` 0x40 puts it into the table (RFC 7541 6.2)."""
    assert len(name) < 127
    if len(value) < 127:
        length = bytes([len(value)])
    else:
        rest = len(value) - 127
        length = bytes([127])
        while rest >= 128:
            length += bytes([rest & 127 | 128])
            rest >>= 7
        length += bytes([rest])
    return bytes([first, len(name)]) + name + length + value


def request(method: str) -> bytes:
    fields = {":method": "POST", ":scheme": "http", ":path": f"/bench.Bench/{method}", ":authority": "h",
              "content-type": "application/grpc", "te": "trailers"}
    return b"".join(literal(name.encode(), value.encode()) for name, value in fields.items())


def wait_until(done) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class RawPeer:
    """One connection on which anything can be said."""

    START = PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK)

    def __init__(self, port: int, start: bytes = START):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.received = b""
        self.is_closed = False
        self.send(start)

    def send(self, data: bytes) -> bool:
        """Sends and reads at the same time, so that neither side waits for the other. False once it was cut off."""
        view = memoryview(data)
        while view and not self.is_closed:
            readable, writable = self.ready(select.POLLIN | select.POLLOUT, PATIENCE)
            assert readable or writable, "the server neither reads nor closes"
            if readable:
                self.read()
            if writable and not self.is_closed:
                try:
                    view = view[self.socket.send(view[:65536]):]
                except (BrokenPipeError, ConnectionResetError):
                    self.is_closed = True
                except BlockingIOError:
                    pass
        return not self.is_closed

    def ready(self, events: int, seconds: float) -> tuple[bool, bool]:
        """Whether the socket can be read and written. `poll`, because `select` knows no descriptor above 1023."""
        poll = select.poll()
        poll.register(self.socket, events)
        found = next(iter(poll.poll(seconds * 1000)), (0, 0))[1]
        return bool(found & ~select.POLLOUT), bool(found & select.POLLOUT)

    def read(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.is_closed = not data
        self.received += data

    def wait(self, done=lambda peer: peer.is_closed) -> None:
        end = time.monotonic() + PATIENCE
        while not done(self):
            assert not self.is_closed, "the server closed the connection"
            assert time.monotonic() < end, "the server did not do it in time"
            if self.ready(select.POLLIN, 1)[0]:
                self.read()

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """What came whole: kind, flags, stream, payload."""
        frames, rest = [], self.received
        while len(rest) >= 9 and len(rest) >= 9 + (length := int.from_bytes(rest[:3])):
            stream = int.from_bytes(rest[5:9]) & 0x7FFFFFFF
            frames.append((rest[3], rest[4], stream, rest[9 : 9 + length]))
            rest = rest[9 + length :]
        return frames

    def close(self) -> None:
        self.socket.close()


class Server:
    """A `bench-server` process."""

    def __init__(self, *arguments: str, files: int | None = None):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen(
            [BINARIES / "bench-server", "--loops", "2", *arguments], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, preexec_fn=limit if files else None)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"bench-server did not start: {line!r}"
        self.port = int(line.split()[-1])
        with self.channel() as channel:
            for _ in range(50):
                self.call("Get", channel)
        self.idle = self.memory("VmRSS")

    def memory(self, what: str) -> int:
        """VmRSS, what it holds now, or VmHWM, the most that it ever held since `forget_peak`; in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{what}:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def channel(self):
        # Every channel a connection of its own.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            yield channel

    def call(self, method: str, channel: grpc.Channel | None = None) -> bytes:
        if channel is None:
            with self.channel() as own:
                return self.call(method, own)
        return channel.unary_unary(f"/bench.Bench/{method}")(b"", timeout=PATIENCE, wait_for_ready=True)

    def trips(self) -> dict[str, int]:
        lines = self.call("Trips").decode().splitlines()
        return {name: int(count) for name, count in (line.split() for line in lines)}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Bystander:
    """A well-behaved client that calls all the time, and remembers what went wrong."""

    def __init__(self, server: Server):
        self.server = server
        self.errors: list[str] = []
        self.calls = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.server.forget_peak()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        with self.server.channel() as channel:
            while not self._stop.wait(0.01):
                try:
                    assert len(self.server.call("Get", channel)) == 449
                    self.calls += 1
                except Exception as error:  # noqa: BLE001: every kind of error is one too many
                    self.errors.append(repr(error))
