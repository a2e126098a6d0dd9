internal import CivilTime
internal import ServiceCore
internal import Storage

extension AppointmentHandlers {
  /// The handlers over a store and a patient service.
  ///
  /// - Parameters:
  ///   - tables: keeps ``Tables/all``.
  ///   - drain: ends watches.
  static func assembled(
    tables: any JournaledStore, patients: any PatientDirectory, pageTokens: PageTokens, clock: WallClock = .system,
    timeZones: TimeZoneDatabase = .system, defaultTimeZone: String, drain: DrainSignal = DrainSignal(),
    policy: RetryPolicy = RetryPolicy(), random: RandomSource = .system
  ) -> AppointmentHandlers {
    let errors = ServiceErrors.appointment
    let mutations = Mutations(
      idempotency: IdempotencyRecords(store: tables, table: Tables.appointments, errors: errors),
      transactions: RetryingTransaction(store: tables, errors: errors, policy: policy, random: random),
      clock: clock)
    return AppointmentHandlers(
      store: AppointmentStore(tables: tables, timeZones: timeZones), patients: patients, mutations: mutations,
      clock: clock, timeZones: timeZones, defaultTimeZone: defaultTimeZone, random: random, pageTokens: pageTokens,
      feed: AppointmentFeed(
        journal: tables,
        resources: [
          FedResource(.appointment, table: Tables.appointments, fields: AppointmentPaths.all),
          FedResource(.timeBlock, table: Tables.timeBlocks, fields: TimeBlockPaths.all),
        ],
        tokens: pageTokens, clock: clock, errors: errors, drain: drain))
  }
}
