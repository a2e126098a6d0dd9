internal import CivilTime
internal import Identity
internal import ServiceCore

/// Says which day it is for a clinician: the zone of the token's `zoneinfo`, else the server's. Source: DOMAIN 2, 5.
struct ClinicianCalendar: Sendable {
  let clock: WallClock
  let defaultZone: TimeZoneRules
  let database: TimeZoneDatabase

  init(clock: WallClock, defaultZone: TimeZoneRules, database: TimeZoneDatabase = .system) {
    self.clock = clock
    self.defaultZone = defaultZone
    self.database = database
  }

  func today(for principal: Principal) -> CivilDate { zone(for: principal).date(at: clock.now()) }

  /// Only the tokens of clinicians and their staff speak of the clinician's zone. A name that the system's tzdata does
  /// not know is no reason to refuse a call: the server's zone applies.
  private func zone(for principal: Principal) -> TimeZoneRules {
    switch principal.effectiveCaller.role {
    case .clinician, .delegate:
      principal.timeZone.flatMap { try? database.rules(for: $0) } ?? defaultZone
    case .patient, .service: defaultZone
    }
  }
}
