import Contract
import Identity
import RPC
import ServiceCore
import ServiceTestSupport
import StandardProtos
import Storage
import Testing

@testable import PatientService

@Suite("WatchPatients (DOMAIN 11)", .timeLimit(.minutes(5)))
struct WatchPatientsTests {
  private typealias Fixture = PatientFixture
  private let fixture: Fixture
  private static let path = "/clinicavoice.patient.v1.PatientService/WatchPatients"

  init() throws { fixture = try Fixture() }

  private func request(_ edit: (inout PatientV1.WatchPatientsRequest) -> Void = { _ in })
    -> PatientV1.WatchPatientsRequest
  {
    var request = PatientV1.WatchPatientsRequest()
    edit(&request)
    return request
  }

  /// What a watch tells of what happens during `body`, until there are `count` changes.
  private func changes(
    _ count: Int, by principal: Principal = Fixture.clinician, userId: String = "", _ body: () async throws -> Void
  ) async throws -> [PatientV1.ChangeEvent] {
    let capture = ResponseCapture<PatientV1.WatchPatientsResponse>()
    let handlers = fixture.handlers
    let request = request { $0.userId = userId }
    let watching = Task {
      try await handlers.watchPatients(
        request, response: capture.writer, context: .forTest(by: principal, path: Self.path))
    }
    defer { watching.cancel() }
    _ = try await capture.next(1)
    try await body()
    var changes: [PatientV1.ChangeEvent] = []
    while changes.count < count { changes += try await capture.next(1).flatMap(\.changes) }
    return changes
  }

  private func refusal(
    by principal: Principal, _ edit: (inout PatientV1.WatchPatientsRequest) -> Void = { _ in }
  ) async -> RPCError? {
    await status {
      try await fixture.handlers.watchPatients(
        request(edit), response: ResponseWriter(sink: NoResponse()), context: .forTest(by: principal, path: Self.path))
    }
  }

  @Test("each mutation is one change with its version and the fields it changed; sentinels and records never show")
  func mutations() async throws {
    var id = ""
    let changes = try await changes(4) {
      id = try await fixture.create(requestId: "0e0f2d66-2b53-4d4d-9f4b-3a0a0b0c0d0e").id
      var update = PatientV1.UpdatePatientRequest()
      update.patient = .valid {
        $0.id = id
        $0.lastName = "Dow"
        $0.phone = "+1 416 555 9999"
      }
      update.updateMask = GoogleProtobuf.FieldMask(paths: ["last_name", "phone"])
      let context = ServerContext.forTest(by: Fixture.clinician)
      _ = try await fixture.handlers.updatePatient(update, context: context)
      var verb = PatientV1.DeactivatePatientRequest()
      verb.patientId = id
      _ = try await fixture.handlers.deactivatePatient(verb, context: context)
      var again = PatientV1.ReactivatePatientRequest()
      again.patientId = id
      _ = try await fixture.handlers.reactivatePatient(again, context: context)
    }
    #expect(changes.map(\.resourceId) == [id, id, id, id])
    #expect(changes.map(\.version) == [1, 2, 3, 4])
    #expect(changes.map(\.operation) == [.created, .updated, .updated, .updated])
    #expect(changes.map(\.changedPaths) == [[], ["last_name", "phone"], ["status"], ["status"]])
    #expect(changes.allSatisfy { $0.resourceType == .patient && $0.userId == "clinician-1" })
    #expect(changes.map(\.sequence) == changes.map(\.sequence).sorted())
  }

  @Test(
    "a delegate and a service that name the clinician see the same", arguments: [Fixture.delegate, Fixture.service])
  func others(principal: Principal) async throws {
    let changes = try await changes(1, by: principal, userId: "clinician-1") {
      _ = try await fixture.create(by: Fixture.otherClinician)
      _ = try await fixture.create()
    }
    #expect(changes.map(\.userId) == ["clinician-1"])
  }

  @Test("another clinician's feed is refused, whether there is one or not", arguments: ["clinician-2", "nobody"])
  func foreign(userId: String) async throws {
    let refused = await refusal(by: Fixture.clinician) { $0.userId = userId }
    #expect(refused?.summary == "PERMISSION_DENIED PARTITION_NOT_ALLOWED")
  }

  @Test("a patient has no feed, not through a service either")
  func patients() async throws {
    let patient = Principal(id: "p", role: .patient)
    let service = Principal(id: "s", role: .service, onBehalfOf: .init(id: "p", role: .patient))
    for principal in [patient, service] {
      let refused = await refusal(by: principal) { $0.userId = "clinician-1" }
      #expect(refused?.summary == "PERMISSION_DENIED ROLE_NOT_ALLOWED")
    }
  }

  @Test("a service must name the clinician, and the interval has bounds: both are told at once")
  func fields() async throws {
    let refused = await refusal(by: Fixture.service) { $0.heartbeatInterval = GoogleProtobuf.Duration(.seconds(601)) }
    #expect(refused?.violations == ["user_id REQUIRED", "heartbeat_interval OUT_OF_RANGE"])
  }

  @Test("a token goes on with another interval, and for an empty user_id as for one's own")
  func token() async throws {
    let capture = ResponseCapture<PatientV1.WatchPatientsResponse>()
    let handlers = fixture.handlers
    let first = Task { [request = request()] in
      try await handlers.watchPatients(
        request, response: capture.writer, context: .forTest(by: Fixture.clinician, path: Self.path))
    }
    let token = try #require(try await capture.next(1).first).resumeToken
    first.cancel()
    _ = try await fixture.create()
    let resumed = ResponseCapture<PatientV1.WatchPatientsResponse>()
    let again = request {
      $0.userId = "clinician-1"
      $0.resumeToken = token
      $0.heartbeatInterval = GoogleProtobuf.Duration(.seconds(7))
    }
    let second = Task {
      try await handlers.watchPatients(
        again, response: resumed.writer, context: .forTest(by: Fixture.clinician, path: Self.path))
    }
    #expect(try await resumed.next(1).first?.changes.count == 1)
    second.cancel()
    let foreign = await refusal(by: Fixture.otherClinician) { $0.resumeToken = token }
    #expect(foreign?.summary == "INVALID_ARGUMENT CHANGE_TOKEN_INVALID")
  }

  @Test("an expired invitation is swept, its patient stays, and the feed does not tell of it")
  func sweptInvitation() async throws {
    let changes = try await changes(2) {
      let id = try await fixture.create().id
      let key = PatientTable.invitationKey(tokenHash: "ab")
      let now = fixture.clock.wall.now().seconds
      try await fixture.store.transact([
        .put(
          ["id": .string(key.partition), "userId": .string(key.sort), ExpiringItem.attribute: .number(now + 604_800)],
          in: PatientTable.schema)
      ])
      fixture.clock.advance(seconds: 604_800)
      #expect(try await fixture.store.sweepExpired(limit: 10) == 0)
      fixture.clock.advance(seconds: 1)
      #expect(try await fixture.store.sweepExpired(limit: 10) == 1)
      #expect(try await fixture.store.get(key, from: PatientTable.schema) == nil)
      #expect(try await fixture.get(id).patient?.id == id)
      _ = try await fixture.create()
    }
    #expect(changes.count == 2 && changes.allSatisfy { $0.operation == .created })
  }
}
