"""Our client's channel against real servers: policies, health, targets, drains and kills (WIRE 2.12; issue 4)."""

import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from harness import free_port
from raw_peer import PROBE, RawPeer, call

ROUND_ROBIN = '"loadBalancingConfig": [{"round_robin": {}}]'
RETRY = """"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.02s",
  "maxBackoff": "0.5s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]"""


class Named(grpc.GenericRpcHandler):
    """Answers every unary call of test.Echo with a name, or fails it."""

    def __init__(self, name: str, is_broken: bool):
        self.name = name.encode()
        self.is_broken = is_broken

    def service(self, details):
        if not details.method.startswith("/test.Echo/"):
            return None
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, request, context):
        if self.is_broken:
            context.abort(grpc.StatusCode.UNKNOWN, "broken")
        return self.name


class Foreign:
    """A grpcio server with the health service."""

    def __init__(self, name: str, address: str = "127.0.0.1:0", with_health: bool = True, is_broken: bool = False):
        self.name = name
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.health = health.HealthServicer()
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.server.add_generic_rpc_handlers([Named(name, is_broken)])
        self.port = self.server.add_insecure_port(address)

    def __enter__(self) -> "Foreign":
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()

    def serves(self, is_serving: bool):
        status = health_pb2.HealthCheckResponse
        self.health.set("clinic", status.SERVING if is_serving else status.NOT_SERVING)


def addresses(*ports: int) -> str:
    return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


def answers(results: list[dict]) -> list[str]:
    assert {result["code"] for result in results} == {"OK"}, results
    return [result["responses"][0] for result in results]


# --- policies and targets -------------------------------------------------------------------------------------------


def test_w56_abstract_unix_socket():
    """W56: abstract unix socket."""
    name = f"clinicavoice-test-{os.getpid()}-{time.monotonic_ns()}"
    with Foreign("abstract", f"unix-abstract:{name}"):
        assert answers(call(f"unix-abstract:{name}")) == ["abstract"]


def test_w53_pick_first_uses_one_server_and_passes_over_those_that_refuse():
    """W53: pick first uses one server and passes over those that refuse."""
    with Foreign("a") as a, Foreign("b") as b:
        seen = answers(call(addresses(free_port(), a.port, b.port), "--count", "10"))
    assert set(seen) == {"a"}


@pytest.mark.parametrize("policy", ["round_robin", "least_request"])
def test_w57_calls_are_spread_over_all_addresses(policy):
    """W57: calls are spread over all addresses."""
    config = '{"loadBalancingConfig": [{"%s": {}}]}' % policy
    with Foreign("a") as a, Foreign("b") as b, Foreign("c") as c:
        for _ in range(10):
            # The first calls may run before all connections are there; on a busy machine those may be many.
            seen = answers(call(addresses(a.port, b.port, c.port), "--config", config, "--count", "90"))[-30:]
            counts = sorted(seen.count(name) for name in "abc")
            if counts == [10, 10, 10] or policy == "least_request" and counts[0] >= 2:
                return
    raise AssertionError(f"the calls were not spread: {seen}")


def test_w51_w52_all_addresses_down_names_the_last_failure():
    """W51, W52: all addresses down names the last failure."""
    port = free_port()
    [result] = call(addresses(port, free_port()), "--config", "{%s}" % ROUND_ROBIN)
    assert result["code"] == "UNAVAILABLE"
    for part in ("ipv4:127.0.0.1:", "connecting", "refused", "attempt 1"):
        assert part in result["message"], result


def test_w2_a_server_that_does_not_choose_h2_is_refused_and_named(keys):
    """W2: a server that does not choose h2 is refused and named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.directory / "patient-service.pem", keys.directory / "patient-service.key")
    # Offers nothing, as HTTP/1.1 servers do.
    with RawTLS(context) as server:
        [result] = call(f"dns:localhost:{server.port}", "--ca", str(keys.directory / "ca.pem"))
    assert result["code"] == "UNAVAILABLE" and "ALPN" in result["message"], result
    assert server.names == ["localhost"]


class RawTLS:
    """Shakes hands and says nothing; notes which name was asked for (SNI)."""

    def __init__(self, context: ssl.SSLContext):
        self.names: list[str] = []
        context.sni_callback = lambda sock, name, _: self.names.append(name)
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
                with self.context.wrap_socket(sock, server_side=True) as shaken:
                    shaken.recv(1)
            except (OSError, ssl.SSLError):
                if self.listener.fileno() < 0:
                    return


# --- health ---------------------------------------------------------------------------------------------------------

HEALTH = '{%s, "healthCheckConfig": {"serviceName": "clinic"}}' % ROUND_ROBIN


def test_w59_only_servers_that_say_serving_are_called():
    """W59: only servers that say serving are called."""
    with Foreign("sick") as sick, Foreign("well") as well:
        sick.serves(False)
        well.serves(True)
        assert set(answers(call(addresses(sick.port, well.port), "--config", HEALTH, "--count", "20"))) == {"well"}


def test_w59_a_server_that_recovers_is_called_again():
    """W59: a server that recovers is called again."""
    with Foreign("one") as one:
        one.serves(False)
        [result] = call(addresses(one.port), "--config", HEALTH)
        assert result["code"] == "UNAVAILABLE" and "NOT_SERVING" in result["message"], result
        waiting = threading.Timer(0.5, one.serves, [True])
        waiting.start()
        assert answers(call(addresses(one.port), "--config", HEALTH, "--wait-for-ready")) == ["one"]


def test_w59_a_server_without_the_health_service_counts_as_healthy():
    """W59: a server without the health service counts as healthy."""
    with Foreign("plain", with_health=False) as plain:
        assert answers(call(addresses(plain.port), "--config", HEALTH)) == ["plain"]


def test_w59_one_watch_per_connection():
    """W59: one watch per connection."""
    watched = []

    def script(connection, stream, request):
        if request[":path"] == "/grpc.health.v1.Health/Watch":
            watched.append(request)
            connection.headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
            connection.data(stream, b"\x00\x00\x00\x00\x02\x08\x01")  # SERVING
        else:
            connection.answer(stream)

    with RawPeer(script) as peer:
        results = call(peer.target, "--config", HEALTH, "--count", "10")
        assert {result["code"] for result in results} == {"OK"}
        assert len(watched) == 1 and watched[0].body == b"\x00\x00\x00\x00\x08\x0a\x06clinic"


def test_an_outlier_gets_no_more_calls():
    """gRFC A50: a server that fails its calls is ejected, and whoever calls later does not notice it any more."""
    config = """{"loadBalancingConfig": [{"outlier_detection_experimental": {
      "interval": "0.05s", "maxEjectionPercent": 50, "childPolicy": [{"round_robin": {}}],
      "failurePercentageEjection": {"minimumHosts": 2, "requestVolume": 1}}}]}"""
    with Foreign("well") as well, Foreign("broken", is_broken=True) as broken:
        codes = [result["code"] for result in call(
            addresses(well.port, broken.port), "--config", config, "--count", "1000")]
    assert "UNKNOWN" in codes and set(codes[-100:]) == {"OK"}, codes


# --- under load -----------------------------------------------------------------------------------------------------


class Server:
    """Our test server as a process, on a port that it keeps."""

    def __init__(self, port: int | None = None, delay_millis: int = 20, grace_millis: int = 10_000):
        self.port = port or free_port()
        self.command = [
            PROBE, "serve", "--port", str(self.port), "--delay-millis", str(delay_millis),
            "--grace-millis", str(grace_millis)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self._read, args=[self.process.stdout], daemon=True).start()
        assert self.lines.get(timeout=60) == f"listening on {self.port}\n"

    def _read(self, output):
        for line in output:
            self.lines.put(line)

    def wait_for_a_call(self):
        assert self.lines.get(timeout=60) == "answering\n"

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


class Callers:
    """64 callers through one channel of ours."""

    def __init__(self, target: str, config: str):
        self.process = subprocess.Popen(
            [PROBE, "load", "--target", target, "--config", config, "--callers", "64",
             "--backoff-millis", "50", "--max-backoff-millis", "500"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "calling\n"

    def finish(self) -> dict:
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return json.loads(output)


@pytest.mark.parametrize("policy", ["pick_first", "round_robin"])
def test_a_drain_under_load_fails_no_call_and_ends_within_its_grace(policy):
    """W43, W45; issue 4, show 5: no retry policy, so that every call must be answered by who took it, or never ran."""
    servers = [Server(), Server()]
    callers = Callers(addresses(*(s.port for s in servers)), '{"loadBalancingConfig": [{"%s": {}}]}' % policy)
    try:
        for server in servers:
            time.sleep(0.3)  # some load before the drain; nothing depends on how much
            began = time.monotonic()
            assert server.end(signal.SIGTERM) == 0
            took = time.monotonic() - began
            print(f"ended after {took:.2f} s")
            assert took < 10
            server.start()
            if policy == "round_robin":
                server.wait_for_a_call()  # Otherwise there would be a moment with no server at all.
        result = callers.finish()
        print(f"{result['ok']} calls answered, {result['failed']} failed")
        assert result["failed"] == {}, result
        assert result["ok"] > 64 and len(result["servers"]) == 2
    finally:
        for server in servers:
            server.end(signal.SIGKILL)


@pytest.mark.parametrize("retries", [False, True], ids=["without-retries", "with-retries"])
def test_rolling_kills_cost_only_calls_in_flight_and_none_with_retries(retries):
    """W54; issue 4, show 6."""
    seconds = float(os.environ.get("CLINICAVOICE_ROLLING_SECONDS", "6"))
    servers = [Server(), Server(), Server()]
    config = "{%s}" % ", ".join([ROUND_ROBIN] + ([RETRY] if retries else []))
    callers = Callers(addresses(*(s.port for s in servers)), config)
    kills = 0
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            server = servers[kills % 3]
            time.sleep(0.2)
            server.end(signal.SIGKILL)
            kills += 1
            server.start()
            server.wait_for_a_call()
        result = callers.finish()
        print(f"{kills} kills; {result['ok']} calls answered, {result['failed']} failed")
        assert result["ok"] > 64 and len(result["servers"]) == 3, result
        if retries:
            assert result["failed"] == {}, result
        else:
            # Each was on a connection that was lost, to a server that was killed, which has at most all callers' calls in
            # flight: none failed for want of a server.
            assert set(result["failed"]) <= {"UNAVAILABLE"}, result
            rest = sum(result["failed"].values())
            for index, server in enumerate(servers):
                lost = sum(
                    count for text, count in result["messages"].items()
                    if f"127.0.0.1:{server.port}: connection lost" in text)
                assert lost <= 64 * len(range(index, kills, 3)), (kills, result)
                rest -= lost
            assert rest == 0, result
    finally:
        for server in servers:
            server.end(signal.SIGKILL)
