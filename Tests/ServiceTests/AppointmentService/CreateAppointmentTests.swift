import CivilTime
import Contract
import Identity
import RPC
import StandardProtos
import Testing

@testable import AppointmentService

@Suite("CreateAppointment")
struct CreateAppointmentTests {
  @Test("DOMAIN 4: a booking is scheduled, with its instants, version and first history entries")
  func booking() async throws {
    let clinic = Clinic()
    var asked = clinic.appointment()
    asked.notes = "bring the results"
    asked.status = .completed
    asked.id = "550e8400-e29b-41d4-a716-44665544ffff"
    let made = try await clinic.create(asked)
    #expect(made.status == .scheduled && made.version == 1 && made.etag == "\"1\"")
    #expect(made.id != asked.id && made.id.count == 36 && made.userId == Clinic.clinician)
    #expect(made.startTime?.seconds == Instant("2025-12-10T19:00:00Z")?.seconds)
    #expect(made.endTime?.seconds == Instant("2025-12-10T19:30:00Z")?.seconds)
    #expect(made.timeZone == "America/Toronto" && made.duration == 30)
    #expect(made.statusHistory.map(\.status) == [.scheduled])
    #expect(made.statusHistory.first?.changedBy == Clinic.clinician)
    #expect(made.notesHistory.map(\.notes) == ["bring the results"])
    #expect(made.createdAt == made.updatedAt && made.createdBy == Clinic.clinician)
    #expect(try await clinic.get(made.id).appointment == made)
  }

  static let durations: [(AppointmentV1.AppointmentType, Int32)] = [
    (.consultation, 60), (.followUp, 30), (.procedure, 90), (.urgent, 45),
  ]

  @Test("DOMAIN 4: a missing duration is the type's default", arguments: durations)
  func defaultDuration(type: AppointmentV1.AppointmentType, minutes: Int32) async throws {
    let clinic = Clinic()
    #expect(try await clinic.create(clinic.appointment(type: type)).duration == minutes)
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var fields: [String]
    var change: @Sendable (inout AppointmentV1.Appointment) -> Void

    init(_ name: String, _ fields: [String], _ change: @escaping @Sendable (inout AppointmentV1.Appointment) -> Void) {
      testDescription = name
      self.fields = fields
      self.change = change
    }
  }

  static let faults: [Fault] = [
    Fault("no patient", ["appointment.patient_id REQUIRED"]) { $0.patientId = "" },
    Fault("a patient that is no UUID", ["appointment.patient_id MALFORMED"]) { $0.patientId = "42" },
    Fault("no date", ["appointment.date REQUIRED"]) { $0.date = "" },
    Fault("a date that does not exist", ["appointment.date MALFORMED"]) { $0.date = "2025-02-29" },
    Fault("a date before 1900", ["appointment.date OUT_OF_RANGE"]) { $0.date = "1899-12-31" },
    Fault("the end of all dates", ["appointment.date OUT_OF_RANGE"]) {
      $0.date = "9999-12-31"
      $0.time = "23:45"
    },
    Fault("no time", ["appointment.time REQUIRED"]) { $0.time = "" },
    Fault("one digit of hour", ["appointment.time MALFORMED"]) { $0.time = "9:05" },
    Fault("hour 24", ["appointment.time MALFORMED"]) { $0.time = "24:00" },
    Fault("seconds", ["appointment.time MALFORMED"]) { $0.time = "14:00:00" },
    Fault("no quarter of an hour", ["appointment.duration OUT_OF_RANGE"]) { $0.duration = 20 },
    Fault("too short", ["appointment.duration OUT_OF_RANGE"]) { $0.duration = -15 },
    Fault("too long", ["appointment.duration OUT_OF_RANGE"]) { $0.duration = 1455 },
    Fault("no type", ["appointment.type REQUIRED"]) { $0.type = .unspecified },
    Fault("an unknown type", ["appointment.type OUT_OF_RANGE"]) { $0.type = .init(rawValue: 9) },
    Fault("an unknown zone", ["appointment.time_zone UNKNOWN_TIME_ZONE"]) { $0.timeZone = "Mars/Olympus" },
    Fault("a bare offset", ["appointment.time_zone UNKNOWN_TIME_ZONE"]) { $0.timeZone = "+05:00" },
    Fault("a GMT offset", ["appointment.time_zone UNKNOWN_TIME_ZONE"]) { $0.timeZone = "GMT+5" },
    Fault("an unknown fold", ["appointment.fold OUT_OF_RANGE"]) { $0.fold = .init(rawValue: 7) },
    Fault("a time that clocks skip", ["appointment.time NONEXISTENT_LOCAL_TIME"]) {
      $0.date = "2026-03-08"
      $0.time = "02:30"
    },
    Fault("notes beyond 10,000", ["appointment.notes TOO_LONG"]) { $0.notes = String(repeating: "ä", count: 10_001) },
    Fault("NUL in notes", ["appointment.notes MALFORMED"]) { $0.notes = "a\0b" },
    Fault("a long transcription", ["appointment.transcription_id TOO_LONG"]) {
      $0.transcriptionId = String(repeating: "t", count: 129)
    },
    Fault("a transcription beyond ASCII", ["appointment.transcription_id MALFORMED"]) { $0.transcriptionId = "ä" },
    Fault("a past date", ["appointment.date APPOINTMENT_IN_PAST"]) { $0.date = "2025-11-30" },
    Fault(
      "everything at once",
      [
        "appointment.patient_id MALFORMED", "appointment.type REQUIRED", "appointment.date MALFORMED",
        "appointment.time MALFORMED", "appointment.duration OUT_OF_RANGE", "appointment.time_zone UNKNOWN_TIME_ZONE",
        "appointment.notes MALFORMED",
      ]
    ) {
      $0.patientId = "x"
      $0.type = .unspecified
      $0.date = "x"
      $0.time = "x"
      $0.duration = 1
      $0.timeZone = "x"
      $0.notes = "\0"
    },
  ]

  @Test("DOMAIN 4, 10: faults of fields are named, all at once, and nobody is asked", arguments: faults)
  func refused(fault: Fault) async throws {
    let clinic = Clinic()
    var asked = clinic.appointment()
    fault.change(&asked)
    let wrong = asked
    let error = try await failure { try await clinic.create(wrong) }
    #expect(error.code == .invalidArgument && error.reason == "VALIDATION_FAILED")
    #expect(error.fields == fault.fields)
    #expect(clinic.directory.calls == 0)
    #expect(try await clinic.commits() == 0)
  }

  @Test("DOMAIN 4: the limits themselves are legal")
  func limits() async throws {
    let clinic = Clinic()
    var asked = clinic.appointment("2025-12-10", "00:00", duration: 1440)
    asked.notes = String(repeating: "ä", count: 10_000)
    asked.transcriptionId = String(repeating: "t", count: 128)
    #expect(try await clinic.create(asked).duration == 1440)
    #expect(try await clinic.create(clinic.appointment("2025-12-11", "00:07", duration: 15)).time == "00:07")
  }

  @Test("DOMAIN 5: the first valid time after a gap is told")
  func gap() async throws {
    let clinic = Clinic()
    let error = try await failure { try await clinic.create(clinic.appointment("2026-03-08", "02:30")) }
    #expect(error.info["first_valid_time"] == "2026-03-08T03:00")
  }

  @Test("DOMAIN 5: a repeated time is the earlier instant unless the later is asked for")
  func fold() async throws {
    let clinic = Clinic()
    var asked = clinic.appointment("2026-11-01", "01:30", duration: 60)
    let earlier = try await clinic.create(asked)
    #expect(earlier.startTime?.seconds == Instant("2026-11-01T05:30:00Z")?.seconds && earlier.fold == .earlier)
    asked.fold = .later
    let later = try await clinic.create(asked)
    #expect(later.startTime?.seconds == Instant("2026-11-01T06:30:00Z")?.seconds && later.fold == .later)
  }

  @Test("DOMAIN 5: duration is elapsed time, also over a change of clocks")
  func elapsed() async throws {
    let clinic = Clinic()
    let made = try await clinic.create(clinic.appointment("2026-03-08", "01:30", duration: 60))
    #expect(made.endTime?.seconds == Instant("2026-03-08T07:30:00Z")?.seconds)
    #expect(try await clinic.create(clinic.appointment("2026-03-08", "03:30", duration: 15)).version == 1)
    let error = try await failure { try await clinic.create(clinic.appointment("2026-03-08", "03:15", duration: 15)) }
    #expect(error.reason == "SLOT_CONFLICT")
  }

  @Test("DOMAIN 10: earlier today is not past; yesterday is, unless allow_past")
  func past() async throws {
    // 22:00 on 30 November in Toronto, 1 December in UTC.
    let clinic = Clinic(now: "2025-12-01T03:00:00Z")
    try await clinic.create(clinic.appointment("2025-11-30", "09:00"))
    let error = try await failure { try await clinic.create(clinic.appointment("2025-11-29", "23:00")) }
    #expect(error.fields == ["appointment.date APPOINTMENT_IN_PAST"])
    #expect(try await clinic.create(clinic.appointment("2025-11-29", "23:00")) { $0.allowPast = true }.version == 1)
    var tokyo = clinic.appointment("2025-11-30", "12:00")
    tokyo.timeZone = "Asia/Tokyo"
    let wrong = tokyo
    #expect(try await failure { try await clinic.create(wrong) }.fields == ["appointment.date APPOINTMENT_IN_PAST"])
  }

  @Test("DOMAIN 4: validate_only does everything but the write")
  func validateOnly() async throws {
    let clinic = Clinic()
    let id = "11111111-1111-4111-8111-111111111111"
    let made = try await clinic.create(clinic.appointment(), requestID: id) { $0.validateOnly = true }
    #expect(made.id.isEmpty && made.etag.isEmpty && made.version == 0 && made.duration == 30)
    #expect(clinic.directory.calls == 1)
    #expect(try await clinic.commits() == 0)
    try await clinic.create(clinic.appointment(), requestID: id)
    let error = try await failure {
      try await clinic.create(clinic.appointment(), requestID: id) { $0.validateOnly = true }
    }
    #expect(error.reason == "SLOT_CONFLICT")
  }

  @Test("DOMAIN 4: a transcription belongs to one appointment")
  func transcription() async throws {
    let clinic = Clinic()
    var asked = clinic.appointment()
    asked.transcriptionId = "transcription-1"
    try await clinic.create(asked)
    asked.date = "2025-12-11"
    let second = asked
    let error = try await failure { try await clinic.create(second, as: Principal(id: "other", role: .clinician)) }
    #expect(error.code == .alreadyExists && error.reason == "TRANSCRIPTION_ALREADY_LINKED")
  }

  static let callers: [(Principal, String, String?)] = [
    (Principal(id: "d", role: .delegate, actsFor: ["clinician-1"]), "clinician-1", nil),
    (Principal(id: "d", role: .delegate, actsFor: ["clinician-1"]), "clinician-2", "PARTITION_NOT_ALLOWED"),
    (Principal(id: "d", role: .delegate, actsFor: ["clinician-1"]), "", "VALIDATION_FAILED"),
    (Principal(id: "clinician-1", role: .clinician), "clinician-2", "PARTITION_NOT_ALLOWED"),
    (Principal(id: "clinician-1", role: .clinician), "clinician-1", nil),
    (Principal(id: "p", role: .patient), "clinician-1", "ROLE_NOT_ALLOWED"),
    (Principal(id: "s", role: .service), "clinician-1", "ROLE_NOT_ALLOWED"),
  ]

  @Test("DOMAIN 1: who may book for whom", arguments: callers)
  func partitions(principal: Principal, userID: String, reason: String?) async throws {
    let clinic = Clinic()
    let result = await Result {
      try await clinic.create(clinic.appointment(), as: principal) { $0.userId = userID }
    }
    #expect(result.failureStatus?.reason == reason)
    #expect(result.success?.createdBy == (reason == nil ? principal.id : nil))
  }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }

  var success: Success? { try? get() }
  var failureStatus: RPCError? { if case .failure(let error) = self { RPCError(wrapping: error) } else { nil } }
}
