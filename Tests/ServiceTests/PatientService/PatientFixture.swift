import CivilTime
import Contract
import Identity
import MemoryEngine
import RPC
import ServiceCore
import ServiceTestSupport
import Storage
import Testing

@testable import PatientService

/// The handlers on an in-memory store, with a clock and a seed of the test's own.
struct PatientFixture {
  let clock: ManualClock
  let store: MemoryStore
  let handlers: PatientServiceHandlers

  /// 14 March 2026, noon in UTC; the server's zone is UTC.
  init(now: String = "2026-03-14T12:00:00Z", seed: UInt64 = 1, attempts: Int = 24) throws {
    let clock = ManualClock(now)
    self.clock = clock
    store = MemoryStore(tables: [PatientTable.schema], now: { clock.wall.now().microseconds })
    handlers = PatientServiceHandlers(
      tables: store, clock: clock.wall, defaultZone: try TimeZoneDatabase.system.rules(for: "UTC"),
      pageTokens: PageTokens(key: .init(repeating: 7, count: 32)), random: .seeded(seed),
      retry: .immediate(attempts: attempts))
  }

  static let clinician = Principal(id: "clinician-1", role: .clinician)
  static let otherClinician = Principal(id: "clinician-2", role: .clinician)
  static let delegate = Principal(id: "desk", role: .delegate, actsFor: ["clinician-1"])
  static let service = Principal(id: "appointment-service", role: .service)

  func create(
    _ patient: PatientV1.Patient? = .valid, by principal: Principal = clinician, requestId: String = "",
    context: ServerContext? = nil, edit: (inout PatientV1.CreatePatientRequest) -> Void = { _ in }
  ) async throws -> PatientV1.Patient {
    var request = PatientV1.CreatePatientRequest()
    request.patient = patient
    request.requestId = requestId
    edit(&request)
    let response = try await handlers.createPatient(
      request,
      context: context ?? .forTest(by: principal, path: "/clinicavoice.patient.v1.PatientService/CreatePatient"))
    return try #require(response.patient)
  }

  func get(
    _ id: String, userId: String = "", by principal: Principal = clinician,
    edit: (inout PatientV1.GetPatientRequest) -> Void = { _ in }
  ) async throws -> PatientV1.GetPatientResponse {
    var request = PatientV1.GetPatientRequest()
    request.patientId = id
    request.userId = userId
    edit(&request)
    return try await handlers.getPatient(request, context: .forTest(by: principal))
  }

  /// Changes a stored record behind the handlers' back.
  func change(_ id: String, userId: String = "clinician-1", _ edit: (inout PatientRecord) -> Void) async throws {
    let old = try #require(try await handlers.patients.patient(id: id, userId: userId))
    var new = old
    edit(&new)
    try await store.transact([handlers.patients.replacement(of: old, by: new)])
  }
}

extension PatientV1.Patient {
  /// A patient that breaks no rule.
  static var valid: Self {
    var patient = Self()
    patient.firstName = "John"
    patient.lastName = "Doe"
    patient.dateOfBirth = "1980-01-15"
    patient.gender = .male
    patient.phone = "+1 (416) 555-1234"
    patient.email = "John.Doe@Example.com"
    return patient
  }

  static func valid(_ edit: (inout Self) -> Void) -> Self {
    var patient = valid
    edit(&patient)
    return patient
  }
}

/// The status that `body` ends with; `nil` when it succeeds.
func status(of body: () async throws -> Void) async -> RPCError? {
  do {
    try await body()
    return nil
  } catch { return RPCError(wrapping: error) }
}
