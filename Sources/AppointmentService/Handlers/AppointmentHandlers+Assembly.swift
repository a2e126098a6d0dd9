internal import CivilTime
internal import ServiceCore
internal import Storage

extension AppointmentHandlers {
  /// The handlers over a store and a patient service.
  ///
  /// - Parameter tables: keeps ``Tables/all``.
  static func assembled(
    tables: any TableStore, patients: any PatientDirectory, pageTokens: PageTokens, clock: WallClock = .system,
    timeZones: TimeZoneDatabase = .system, defaultTimeZone: String, policy: RetryPolicy = RetryPolicy(),
    random: RandomSource = .system
  ) -> AppointmentHandlers {
    let errors = ServiceErrors.appointment
    let mutations = Mutations(
      idempotency: IdempotencyRecords(store: tables, table: Tables.appointments, errors: errors),
      transactions: RetryingTransaction(store: tables, errors: errors, policy: policy, random: random),
      clock: clock)
    return AppointmentHandlers(
      store: AppointmentStore(tables: tables, timeZones: timeZones), patients: patients, mutations: mutations,
      clock: clock, timeZones: timeZones, defaultTimeZone: defaultTimeZone, random: random, pageTokens: pageTokens)
  }
}
