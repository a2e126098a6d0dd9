internal import CivilTime
internal import Contract
internal import RPC
internal import ServiceCore
internal import Storage

/// PatientService: one file per RPC beside this one; RPCs without a file answer UNIMPLEMENTED.
///
/// A handler authorizes, validates, decides by the rules of Domain, and stores, in the order of checks that
/// ``Mutations`` tells.
struct PatientServiceHandlers: PatientV1.PatientService {
  let patients: PatientStore
  let mutations: Mutations
  let calendar: ClinicianCalendar
  let random: RandomSource
  let pageTokens: PageTokens
  let feed: PatientFeed
  let errors = ServiceErrors.patient

  /// - Parameters:
  ///   - defaultZone: where a clinician's token names no zone.
  ///   - pageTokens: with the secret of ``PageTokenKey``.
  ///   - drain: ends watches.
  init(
    tables: any JournaledStore, clock: WallClock, defaultZone: TimeZoneRules, pageTokens: PageTokens,
    drain: DrainSignal = DrainSignal(), random: RandomSource = .system, retry: RetryPolicy = RetryPolicy()
  ) {
    let errors = ServiceErrors.patient
    self.patients = PatientStore(tables: tables)
    self.mutations = Mutations(
      idempotency: IdempotencyRecords(store: tables, table: PatientTable.schema, errors: errors),
      transactions: RetryingTransaction(store: tables, errors: errors, policy: retry, random: random), clock: clock)
    self.calendar = ClinicianCalendar(clock: clock, defaultZone: defaultZone)
    self.random = random
    self.pageTokens = pageTokens
    self.feed = PatientFeed(
      journal: tables,
      resources: [FedResource(.patient, table: PatientTable.schema, fields: PatientReadMask.fields)],
      tokens: pageTokens, clock: clock, errors: errors, drain: drain)
  }
}

extension PatientServiceHandlers {
  /// What a mutation is recognized by when it is repeated; `nil` without a request id.
  ///
  /// - Parameter canonical: the request with its request id cleared.
  func idempotencyKey(
    _ requestId: ResourceID?, canonical: some WireMessage, context: ServerContext
  ) throws(RPCError) -> IdempotencyKey? {
    guard let requestId else { return nil }
    return try IdempotencyKey(
      requestId: requestId, principal: try context.principal, method: context.path, canonicalRequest: canonical)
  }

  /// The record as the caller of `context` may see it.
  func message(_ record: PatientRecord, context: ServerContext) throws(RPCError) -> PatientV1.Patient {
    let principal = try context.principal
    return PatientV1.Patient(record, viewer: principal, today: calendar.today(for: principal))
  }

  /// The record with this id in the scope, if the caller may see it.
  ///
  /// - Throws: ``PatientError/notFound(id:)``, alike for unknown, foreign and invisible records.
  func visiblePatient(_ id: ResourceID, in scope: ClinicianScope) async throws -> PatientRecord {
    guard let record = try await patients.patient(id: id.description, userId: scope.userId), scope.shows(record) else {
      throw PatientError.notFound(id: id.description)
    }
    return record
  }
}

extension ClinicianScope {
  /// Whether a record of this partition is visible to the caller. Source: DOMAIN 1.
  func shows(_ record: PatientRecord) -> Bool { linkedIdentity.map(record.isVisible) ?? true }
}
