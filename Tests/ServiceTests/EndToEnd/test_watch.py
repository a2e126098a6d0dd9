"""WatchPatients and WatchAppointments over the real wire (DOMAIN 11), and the sweeper behind them (DESIGN 6)."""

import contextlib
import os
import random
import subprocess
import threading

import grpc
import pytest

from google.protobuf import duration_pb2
from feeds import CREATED, DELETED, UPDATED, Feed, Writers, assert_complete, expected_count, versions_of
from harness import BINARIES, Caller, Cluster, appointment_fields, new_id, patient_fields, refusal

MUTATIONS = int(os.environ.get("CLINICAVOICE_WATCH_MUTATIONS", "800"))
RESUMPTIONS = int(os.environ.get("CLINICAVOICE_WATCH_RESUMPTIONS", "25"))


@pytest.fixture
def feed_of():
    feeds = []

    def make(*arguments, **fields):
        feeds.append(Feed(*arguments, **fields))
        return feeds[-1]

    yield make
    for feed in feeds:
        feed.disconnect()


def test_patients_are_fed_as_they_change(cluster, keys, feed_of):
    name = f"clinician-{new_id()}"
    feed = feed_of(cluster, keys.token("clinician", name), "WatchPatients").connect()
    first = feed.take()
    assert first.caught_up and not first.changes and first.read_time.seconds > 1_700_000_000
    other = Caller(cluster, keys.token("clinician", f"clinician-{new_id()}"))
    other.patients("CreatePatient", patient=patient_fields())
    caller = feed.caller
    patient = caller.patients("CreatePatient", request_id=new_id(), patient=patient_fields()).patient
    caller.patients("UpdatePatient", patient=dict(id=patient.id, phone="+1 416 555 0000", first_name="Mary"),
                    update_mask=dict(paths=["phone", "first_name"]))
    caller.patients("DeactivatePatient", patient_id=patient.id)
    events = feed.take_events(3)
    assert [(e.resource_id, e.version, e.operation, list(e.changed_paths)) for e in events] == [
        (patient.id, 1, CREATED, []), (patient.id, 2, UPDATED, ["first_name", "phone"]), (patient.id, 3, UPDATED, ["status"])]
    assert {e.user_id for e in events} == {name} and {e.resource_type for e in events} == {1}
    assert all(b"Muster" not in e.SerializeToString() and b"416" not in e.SerializeToString() for e in events)
    other.close()


def test_time_blocks_are_fed_and_deleted(cluster, keys, feed_of):
    feed = feed_of(cluster, keys.token("clinician", f"clinician-{new_id()}"), resource_types=["RESOURCE_TYPE_TIME_BLOCK"])
    feed.connect().take()
    block = feed.caller.blocks("CreateTimeBlock", time_block=dict(
        date="2031-03-03", start_time="13:00", end_time="14:00", reason="lunch")).time_block
    feed.caller.blocks("DeleteTimeBlock", time_block_id=block.id)
    assert [(e.resource_id, e.version, e.operation) for e in feed.take_events(2)] == [
        (block.id, 1, CREATED), (block.id, 1, DELETED)]


def test_signs_of_life_come_when_nothing_happens(cluster, keys, feed_of):
    feed = feed_of(
        cluster, keys.token("clinician", f"clinician-{new_id()}"), heartbeat_interval=duration_pb2.Duration(seconds=1))
    feed.connect()
    responses = [feed.take() for _ in range(3)]
    assert all(r.caught_up and not r.changes for r in responses)
    times = [r.read_time.ToMicroseconds() for r in responses]
    assert times == sorted(times) and times[2] - times[0] >= 1_000_000


def test_who_may_watch_whom(cluster, keys, caller_of):
    clinician, patient = caller_of(cluster), caller_of(cluster, "patient")
    desk = caller_of(cluster, "delegate", "desk", "--acts-for", "clinician-a")

    def watch(caller, **fields):
        return list(caller.appointments("WatchAppointments", **fields))

    assert refusal(watch, clinician, user_id="clinician-a").reason == "PARTITION_NOT_ALLOWED"
    assert refusal(watch, desk, user_id="clinician-b").reason == "PARTITION_NOT_ALLOWED"
    assert refusal(watch, patient, user_id="clinician-a").reason == "ROLE_NOT_ALLOWED"
    found = refusal(watch, desk, heartbeat_interval=duration_pb2.Duration(seconds=601))
    assert found.field_reasons == {"user_id": "REQUIRED", "heartbeat_interval": "OUT_OF_RANGE"}
    assert refusal(watch, clinician, resume_token="nonsense").reason == "CHANGE_TOKEN_INVALID"


def test_watches_of_one_caller_are_limited(cluster, keys, feed_of):
    token = keys.token("clinician", f"clinician-{new_id()}")
    for _ in range(32):
        feed_of(cluster, token).connect().take()
    found = refusal(feed_of(cluster, token).connect().take)
    assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")


def test_a_drain_ends_watches_which_then_go_on(own_cluster, keys, feed_of):
    feed = feed_of(own_cluster, keys.token("clinician", "clinician-1"), "WatchPatients").connect()
    feed.take()
    first = feed.caller.patients("CreatePatient", patient=patient_fields()).patient
    feed.take_events(1)
    assert own_cluster.patient.stop() == 0
    found = refusal(feed.take)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    own_cluster.patient.start()
    feed.connect()
    second = feed.caller.patients("CreatePatient", patient=patient_fields()).patient
    assert [e.resource_id for e in feed.take_events(2)] == [first.id, second.id]


def test_every_version_comes_once_to_a_consumer_that_is_killed_again_and_again(cluster, keys, feed_of):
    """Show 4 of the streaming contract: `deploy/test --full` runs 100 resumptions in 5 000 mutations."""
    chance, name = random.Random(4), f"clinician-{new_id()}"
    feed = feed_of(cluster, keys.token("clinician", name))
    feed.connect().take()
    writers = Writers(cluster, keys, name, MUTATIONS, seed=4).start()
    each = max(1, MUTATIONS // (RESUMPTIONS + 1))
    for resumption in range(RESUMPTIONS):
        # It dies at a random point of the next stretch, now and then with a response read and not dealt with.
        target = min(len(feed.events) + chance.randrange(1, 2 * each), MUTATIONS - RESUMPTIONS + resumption)
        while len(feed.events) < target:
            feed.take()
        if chance.random() < 0.3 and writers.is_running and len(feed.events) < MUTATIONS * 3 // 4:
            next(feed.call)
        feed.connect()
    writers.join()
    feed.take_events(expected_count(writers))
    assert expected_count(writers) == MUTATIONS
    assert_complete(feed.events, writers)


def test_a_killed_service_loses_no_change_and_repeats_none(own_cluster, keys, feed_of):
    name = "clinician-1"
    feed = feed_of(own_cluster, keys.token("clinician", name))
    feed.connect().take()
    before = Writers(own_cluster, keys, name, 100, seed=9).start()
    feed.take_events(30)
    # The writers are killed with the service: what they had no answer for may have happened, and then comes as well.
    own_cluster.appointment.kill()
    with contextlib.suppress(grpc.RpcError):
        before.join()
    with contextlib.suppress(grpc.RpcError):
        while True:
            feed.take()
    own_cluster.appointment.start()
    feed.connect()
    marker = feed.caller.appointments(
        "CreateAppointment", appointment=appointment_fields(before.patient_id, date="2039-01-01")).appointment.id
    while feed.events[-1].resource_id != marker:
        feed.take()
    changes = [e for e in feed.events if e.operation != DELETED]
    seen = versions_of(changes)
    for identifier, last in before.versions.items():
        assert seen[identifier][:last] == list(range(1, last + 1))
    assert all(versions == list(range(1, len(versions) + 1)) for versions in seen.values())
    for identifier in seen:  # and what the store holds is what the feed told last
        if any(e.resource_id == identifier and e.operation == DELETED for e in feed.events):
            continue
        kind = next(e.resource_type for e in feed.events if e.resource_id == identifier)
        found = (feed.caller.appointments("GetAppointment", appointment_id=identifier).appointment if kind == 1
                 else feed.caller.blocks("GetTimeBlock", time_block_id=identifier).time_block)
        assert found.version == seen[identifier][-1]


def test_what_expired_is_swept_and_the_old_journal_forgotten(tmp_path, keys, feed_of):
    clock = tmp_path / "clock"
    cluster = Cluster(tmp_path, keys)
    for process in (cluster.patient, cluster.appointment):
        process.more += ("--development-clock-file", str(clock), "--sweep-interval", "1s", "--journal-retention", "35d")
    cluster.start()
    try:
        token = keys.token("clinician", "clinician-1")
        feed = feed_of(cluster, token, "WatchPatients").connect()
        feed.take()
        old = feed.resume_token
        request_id = new_id()
        made = feed.caller.patients("CreatePatient", request_id=request_id, patient=patient_fields()).patient
        feed.take_events(1)
        feed.disconnect()

        # A day and an hour later the idempotency record is gone: the same id is a new request.
        clock.write_text("+26h\n")
        wait_for_log(cluster.patient, "deleted expired items")
        feed.connect()
        again = feed.caller.patients("CreatePatient", request_id=request_id, patient=patient_fields()).patient
        assert again.id != made.id
        assert [e.resource_id for e in feed.take_events(2)] == [made.id, again.id]
        feed.disconnect()

        clock.write_text("+40d\n")
        wait_for_log(cluster.patient, "forgot old transactions of the journal")
        feed.resume_token = old
        found = refusal(feed.connect().take)
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHANGE_TOKEN_EXPIRED")
        assert feed.caller.patients("GetPatient", patient_id=made.id).patient.id == made.id
    finally:
        cluster.stop()
    for process in (cluster.patient, cluster.appointment):
        checked = subprocess.run(
            [BINARIES / process.name, "verify", "--data-dir", process.data, "--environment", "test",
             "--store-key-file", keys.directory / "store.key"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def wait_for_log(process, text):
    """The sweeper has no answer but its log; bounded, so that a sweeper that does nothing fails the test."""
    ticks = threading.Event()
    for _ in range(600):
        if text in process.log.read_text(errors="replace"):
            return
        ticks.wait(0.1)
    raise AssertionError(f"{process.name} never said '{text}':\n{process.log_tail()}")
