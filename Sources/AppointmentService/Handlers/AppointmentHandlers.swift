internal import CivilTime
internal import Contract
internal import Identity
internal import RPC
internal import ServiceCore

/// Serves `clinicavoice.appointment.v1.AppointmentService`; each RPC is in a file of its own beside this one.
struct AppointmentHandlers: AppointmentV1.AppointmentService {
  let store: AppointmentStore
  let patients: any PatientDirectory
  let mutations: Mutations
  let clock: WallClock
  let timeZones: TimeZoneDatabase
  /// IANA name; the zone of what is booked without one.
  let defaultTimeZone: String
  let random: RandomSource
  let pageTokens: PageTokens
  let feed: AppointmentFeed

  var errors: ServiceErrors { .appointment }
}

/// Who asks for what, when it may be asked for twice.
struct MutationCall {
  let context: ServerContext
  let principal: Principal
  let scope: ClinicianScope
  /// `nil` when the request carries no id, or writes nothing.
  let key: IdempotencyKey?

  var directoryCaller: PatientDirectoryCaller {
    PatientDirectoryCaller(
      deadline: context.deadline, token: principal.forwardableToken, correlationID: context.correlationID)
  }

  /// - Parameters:
  ///   - requestID: `nil` when the request carries none, or writes nothing and must not use it up.
  ///   - canonicalRequest: the request without its id.
  init(
    _ context: ServerContext, _ principal: Principal, _ scope: ClinicianScope, requestID: ResourceID?,
    canonicalRequest: some WireMessage
  ) throws(RPCError) {
    self.context = context
    self.principal = principal
    self.scope = scope
    guard let requestID else {
      key = nil
      return
    }
    key = try IdempotencyKey(
      requestId: requestID, principal: principal, method: context.path, canonicalRequest: canonicalRequest)
  }
}

extension AppointmentHandlers {
  /// The appointment that an earlier success of the same request made or changed, as it is now (DOMAIN 8).
  func replayed(_ record: IdempotencyRecord, in scope: ClinicianScope) async throws -> AppointmentRecord {
    guard let id = record.resources.first,
      let appointment = try await store.appointment(id, clinician: scope.userId)
    else { throw errors.recordCorrupt() }
    return appointment
  }

  /// The refusal of a slot, with what could be booked instead.
  ///
  /// - Parameters:
  ///   - ignored: the appointment that is being moved.
  ///   - planned: what the same request takes already, beside what is stored.
  func slotConflict(
    _ conflicts: [BusyInterval], for slot: AppointmentSlot, in rules: TimeZoneRules, clinician: String,
    ignoring ignored: String? = nil, beside planned: [BusyInterval] = [], requestIndex: Int? = nil
  ) async throws -> AppointmentError {
    let busy = try await store.busy(of: clinician, in: SlotSuggestions.window(of: slot))
      .filter { $0.kind != .appointment || $0.id != ignored }
    return .slotConflict(
      SlotConflictReport(
        conflicts: conflicts, suggestions: SlotSuggestions.next(after: slot, busy: busy + planned, in: rules),
        rules: rules, requestIndex: requestIndex))
  }

  /// The rules of a zone that a stored appointment names.
  func rules(of slot: AppointmentSlot) throws -> TimeZoneRules {
    do { return try timeZones.rules(for: slot.timeZone) } catch { throw errors.internalFault(cause: error) }
  }
}

/// Asks the patient service whether a clinician may book for patients, once for a mutation.
///
/// Attempts of one mutation share the answer for a short time only: an old one would let a patient be booked who was
/// deactivated long ago (DOMAIN 4, "Atomicity").
struct PatientCheck {
  private let directory: any PatientDirectory
  private let patients: [String]
  private let clinician: String
  private let caller: PatientDirectoryCaller
  private var answeredAt: Instant?

  /// How long an answer counts.
  static let lifetimeSeconds: Int64 = 5

  init(_ patients: [String], _ call: MutationCall, directory: any PatientDirectory) {
    self.directory = directory
    self.patients = patients
    clinician = call.scope.userId
    caller = call.directoryCaller
  }

  /// - Throws: ``AppointmentError``: a patient is unknown or inactive, or the patient service has no answer.
  mutating func require(at now: Instant) async throws {
    if let answeredAt, now < answeredAt.adding(seconds: Self.lifetimeSeconds), now >= answeredAt { return }
    let standings: [PatientStanding]
    do {
      standings = try await directory.standing(of: patients, clinician: clinician, for: caller)
    } catch {
      throw AppointmentError.directory(error)
    }
    for (patient, standing) in zip(patients, standings) {
      switch standing {
      case .active: continue
      case .inactive: throw AppointmentError.patientInactive
      case .unknown: throw AppointmentError.patientNotFound(id: patient)
      }
    }
    answeredAt = now
  }
}
