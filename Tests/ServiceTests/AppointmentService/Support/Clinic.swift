import CivilTime
import Contract
import Identity
import MemoryEngine
import NIOCore
import RPC
import ServiceCore
import Storage
import Synchronization

@testable import AppointmentService

/// The service over a store in memory, with a patient service that does as it is told and a clock that stands still.
struct Clinic: Sendable {
  let store: MemoryStore
  let directory: ScriptedDirectory
  let clock: TestClock
  let handlers: AppointmentHandlers

  static let clinician = "clinician-1"
  static let patient = "550e8400-e29b-41d4-a716-446655440000"

  init(now: String = "2025-12-01T15:00:00Z", zone: String = "America/Toronto", attempts: Int = 24) {
    let clock = TestClock(now)
    let store = MemoryStore(tables: Tables.all, now: { clock.now.microseconds })
    let directory = ScriptedDirectory()
    self.clock = clock
    self.store = store
    self.directory = directory
    handlers = .assembled(
      tables: store, patients: directory, pageTokens: PageTokens(key: Array(0..<32)), clock: WallClock { clock.now },
      defaultTimeZone: zone,
      policy: RetryPolicy(attempts: attempts, sleep: { _ in await Task.yield() }))
  }

  func context(
    _ principal: Principal = Principal(id: Clinic.clinician, role: .clinician), path: String = "/test"
  ) -> ServerContext {
    let context = ServerContext(
      path: path, requestMetadata: [:], deadline: nil, peer: Peer(address: "in-process"), authority: "test")
    context[PrincipalKey.self] = principal
    return context
  }

  /// Everything that the appointments table holds.
  func items() async throws -> [Item] { try await items(of: Tables.appointments) }

  /// What a sweep over both tables finds wrong.
  func findings() async throws -> [ScheduleSweep.Finding] {
    var sweep = ScheduleSweep()
    for table in Tables.all {
      for item in try await items(of: table) { sweep.add(item, of: table) }
    }
    return sweep.findings()
  }

  /// Everything that a table holds, replayed from the journal.
  func items(of table: TableSchema) async throws -> [Item] {
    var items: [ItemKey: Item] = [:]
    var last: Int64 = 0
    while true {
      let transactions = try await store.changes(after: last, limit: 1000)
      guard let newest = transactions.last else { return Array(items.values) }
      for change in transactions.flatMap(\.changes) where change.table == table.name {
        items[change.key] = change.image
      }
      last = newest.sequence
    }
  }

  /// How many transactions wrote something.
  func commits() async throws -> Int64 { try await store.journalBounds()?.upperBound ?? 0 }
}

extension Clinic {
  func appointment(
    _ date: String = "2025-12-10", _ time: String = "14:00", duration: Int32 = 0,
    type: AppointmentV1.AppointmentType = .followUp
  ) -> AppointmentV1.Appointment {
    var appointment = AppointmentV1.Appointment()
    appointment.patientId = Clinic.patient
    appointment.date = date
    appointment.time = time
    appointment.duration = duration
    appointment.type = type
    return appointment
  }

  @discardableResult
  func create(
    _ appointment: AppointmentV1.Appointment, requestID: String = "", as principal: Principal? = nil,
    _ adjust: (inout AppointmentV1.CreateAppointmentRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.Appointment {
    var request = AppointmentV1.CreateAppointmentRequest()
    request.appointment = appointment
    request.requestId = requestID
    adjust(&request)
    let context = principal.map { self.context($0) } ?? self.context()
    return try await handlers.createAppointment(request, context: context).appointment ?? .init()
  }

  @discardableResult
  func change(
    _ id: String, to status: AppointmentV1.AppointmentStatus, reason: String = "", etag: String = "",
    requestID: String = ""
  ) async throws -> AppointmentV1.Appointment {
    var request = AppointmentV1.UpdateAppointmentStatusRequest()
    request.appointmentId = id
    request.status = status
    request.reason = reason
    request.etag = etag
    request.requestId = requestID
    return try await handlers.updateAppointmentStatus(request, context: context()).appointment ?? .init()
  }

  func get(
    _ id: String, as principal: Principal? = nil,
    _ adjust: (inout AppointmentV1.GetAppointmentRequest) -> Void = { _ in }
  ) async throws -> AppointmentV1.GetAppointmentResponse {
    var request = AppointmentV1.GetAppointmentRequest()
    request.appointmentId = id
    adjust(&request)
    let context = principal.map { self.context($0) } ?? self.context()
    return try await handlers.getAppointment(request, context: context)
  }
}

/// A clock that is moved by hand.
final class TestClock: Sendable {
  private let instant: Mutex<Instant>

  init(_ text: String) { instant = Mutex(Instant(text) ?? Instant(microseconds: 0)) }

  var now: Instant { instant.withLock { $0 } }

  func set(_ text: String) { instant.withLock { $0 = Instant(text) ?? $0 } }
}

/// The patient service as a script: every patient is active unless it is told otherwise.
final class ScriptedDirectory: PatientDirectory {
  struct Script: Sendable {
    var standings: [String: PatientStanding] = [:]
    var linked: Set<String> = []
    var failure: PatientDirectoryError?
    var calls = 0
    var lastCaller: PatientDirectoryCaller?
  }
  private let script = Mutex(Script())

  var calls: Int { script.withLock { $0.calls } }
  var lastToken: String? { script.withLock { $0.lastCaller?.token } }

  func set(_ change: @Sendable (inout Script) -> Void) { script.withLock { change(&$0) } }

  func standing(
    of patients: [String], clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> [PatientStanding] {
    let script = noted(caller)
    if let failure = script.failure { throw failure }
    return patients.map { script.standings[$0] ?? .active }
  }

  func linkedPatients(
    identity: String, clinician: String, for caller: PatientDirectoryCaller
  ) async throws(PatientDirectoryError) -> Set<String> {
    let script = noted(caller)
    if let failure = script.failure { throw failure }
    return script.linked
  }

  private func noted(_ caller: PatientDirectoryCaller) -> Script {
    script.withLock { script in
      script.calls += 1
      script.lastCaller = caller
      return script
    }
  }
}
