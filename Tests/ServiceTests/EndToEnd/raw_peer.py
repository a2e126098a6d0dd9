"""Servers made of raw HTTP/2 frames (hyperframe, hpack), which do what no library would do; and our client as a process."""

import json
import os
import pathlib
import socket
import struct
import subprocess
import threading

import hpack
from hyperframe import frame as frames

BINARIES = pathlib.Path(os.environ["CLINICAVOICE_BINARIES"])
PROBE = BINARIES / "channel-probe"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GRPC = [(":status", "200"), ("content-type", "application/grpc")]


def call(target: str, *arguments: str, timeout: float = 60) -> list[dict]:
    """What our client makes of its calls to `target`."""
    command = [PROBE, "call", "--target", target, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def message(payload: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(payload)) + payload


class Connection:
    """One client's connection."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.decoder = hpack.Decoder()
        self.encoder = hpack.Encoder()
        self.frames: list[frames.Frame] = []

    def send(self, frame: frames.Frame):
        self.sock.sendall(frame.serialize())

    def headers(self, stream: int, fields, end: bool = False):
        block = self.encoder.encode([(name, value) for name, value in fields], huffman=False)
        frame = frames.HeadersFrame(stream, data=block, flags=["END_HEADERS"] + (["END_STREAM"] if end else []))
        self.send(frame)

    def data(self, stream: int, payload: bytes, end: bool = False):
        self.send(frames.DataFrame(stream, data=payload, flags=["END_STREAM"] if end else []))

    def answer(self, stream: int, payload: bytes = b"ok", trailers=()):
        self.headers(stream, GRPC)
        self.data(stream, message(payload))
        self.headers(stream, [("grpc-status", "0"), *trailers], end=True)

    def refuse(self, stream: int, code: int, *more):
        self.headers(stream, [*GRPC, ("grpc-status", str(code)), *more], end=True)

    def close(self):
        # So that the client's side sees an end rather than a reset by unread bytes.
        self.sock.shutdown(socket.SHUT_RDWR)


class Request:
    def __init__(self, fields):
        self.fields = fields
        self.body = b""

    def __getitem__(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    def names(self) -> list[str]:
        return [name for name, _ in self.fields]


class RawPeer:
    """Listens on a port of its own; `script(connection, stream, request)` answers each request once it is whole."""

    def __init__(self, script, settings: dict[int, int] | None = None):
        self.script = script
        self.settings = settings or {}
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = f"ipv4:127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "RawPeer":
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock: socket.socket):
        connection = Connection(sock)
        self.connections.append(connection)
        stream = sock.makefile("rb")
        try:
            if stream.read(len(PREFACE)) != PREFACE:
                return
            connection.send(frames.SettingsFrame(0, settings=self.settings))
            open_requests: dict[int, Request] = {}
            while len(header := stream.read(9)) == 9:
                frame, length = frames.Frame.parse_frame_header(memoryview(header))
                frame.parse_body(memoryview(stream.read(length)))
                connection.frames.append(frame)
                if isinstance(frame, frames.SettingsFrame) and "ACK" not in frame.flags:
                    connection.send(frames.SettingsFrame(0, flags=["ACK"]))
                elif isinstance(frame, frames.HeadersFrame):
                    fields = [(_text(k), _text(v)) for k, v in connection.decoder.decode(frame.data)]
                    open_requests[frame.stream_id] = Request(fields)
                    self.requests.append(open_requests[frame.stream_id])
                elif isinstance(frame, frames.DataFrame) and frame.stream_id in open_requests:
                    open_requests[frame.stream_id].body += frame.data
                if "END_STREAM" in frame.flags and frame.stream_id in open_requests:
                    self.script(connection, frame.stream_id, open_requests.pop(frame.stream_id))
        except OSError:
            return  # The client has gone, or the script has closed the connection.
        finally:
            sock.close()


def _text(value) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
