internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

/// Serves `clinicavoice.appointment.v1.TimeBlockService`; each RPC is in a file of its own beside this one.
struct TimeBlockHandlers: AppointmentV1.TimeBlockService {
  let store: AppointmentStore
  let mutations: Mutations
  let clock: WallClock
  let zones: SlotZones
  let random: RandomSource
  let pageTokens: PageTokens

  var errors: ServiceErrors { .appointment }

  /// Works on the same tables and clock as `appointments`.
  init(_ appointments: AppointmentHandlers, pageTokens: PageTokens) {
    store = appointments.store
    mutations = appointments.mutations
    clock = appointments.clock
    zones = SlotZones(database: appointments.timeZones, defaultID: appointments.defaultTimeZone)
    random = appointments.random
    self.pageTokens = pageTokens
  }
}

extension TimeBlockHandlers {
  /// The time block that is asked for, or the error that hides whether it is another clinician's.
  func required(_ id: String, in scope: ClinicianScope) async throws -> TimeBlockRecord {
    guard let record = try await store.timeBlock(id, clinician: scope.userId) else {
      throw AppointmentError.timeBlockNotFound(id: id)
    }
    return record
  }

  func zone(of rule: BlockRule) throws -> TimeZoneRules {
    do { return try zones.database.rules(for: rule.timeZone) } catch { throw errors.internalFault(cause: error) }
  }
}

/// What a mutation of a time block answers.
struct TimeBlockOutcome: Sendable {
  var record: TimeBlockRecord
  /// All overlapping appointments in the order of time, where `force` let the block be.
  var affected: [BusyInterval] = []

  /// The most appointments that are answered.
  static let answeredAppointments = 100
}

extension TimeBlockHandlers {
  /// Appointments that have not ended, are not cancelled, and overlap any occurrence of a rule (DOMAIN 5).
  func overlapping(_ rule: BlockRule, of clinician: String, at now: Instant) async throws -> [BusyInterval] {
    let zone = try zone(of: rule)
    // Local dates differ from UTC's by a day at most; the walk looks at each appointment exactly.
    let first = Instant(seconds: Int64(rule.date.dayNumber - 1) * 86_400)
    let last = rule.lastDate.map { Instant(seconds: Int64($0.dayNumber + 2) * 86_400) }
    return try await store.appointmentTimes(of: clinician, after: now, from: first, through: last) {
      rule.overlaps($0, rules: zone)
    }
  }

  /// The refusal of a block; its own wall clock describes the appointments.
  func conflict(_ appointments: [BusyInterval], with rule: BlockRule) throws -> AppointmentError {
    .slotConflict(
      SlotConflictReport(
        conflicts: appointments, suggestions: [], rules: try zone(of: rule),
        reason: .blockConflictsWithAppointments))
  }

  /// The answer to a replayed request: the block as it is now, and what it overlaps now.
  func replayed(
    _ record: IdempotencyRecord, in scope: ClinicianScope, force: Bool
  ) async throws -> TimeBlockOutcome {
    guard let id = record.resources.first else { throw errors.recordCorrupt() }
    let block = try await required(id, in: scope)
    let rule = block.content.rule
    let affected = force ? try await overlapping(rule, of: scope.userId, at: clock.now()) : []
    return TimeBlockOutcome(record: block, affected: affected)
  }

  /// The first of the affected appointments, without notes and histories.
  func appointments(_ affected: [BusyInterval], of clinician: String) async throws -> [AppointmentV1.Appointment] {
    let ids = affected.prefix(TimeBlockOutcome.answeredAppointments).map(\.id)
    if ids.isEmpty { return [] }
    return try await store.appointments(ids, clinician: clinician).map { record in
      var message = AppointmentV1.Appointment(record)
      message.notes = nil
      message.notesHistory = []
      message.statusHistory = []
      message.rescheduleHistory = []
      return message
    }
  }
}
