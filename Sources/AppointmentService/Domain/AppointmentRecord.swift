internal import CivilTime

/// An appointment as the service keeps it (DOMAIN 4).
struct AppointmentRecord: Sendable, Hashable {
  /// UUIDv4, canonical lower case.
  var id: String
  /// The partition: whose time it is.
  var clinician: String
  var patient: String
  var slot: AppointmentSlot
  var type: AppointmentType
  var status: AppointmentStatus
  var notes: String?
  var transcriptionID: String?
  /// Present exactly in status cancelled.
  var cancellation: Cancellation?
  var histories: Histories
  var createdAt: Instant
  var createdBy: String
  var updatedAt: Instant
  var updatedBy: String
  /// Number of successful mutations.
  var version: Int64

  struct Cancellation: Sendable, Hashable {
    var reason: String
    var at: Instant
    var by: String
  }

  /// The newest history entries, which are kept with the appointment. Older ones are items of their own.
  struct Histories: Sendable, Hashable {
    var status: [HistoryEntry<StatusChange>] = []
    var notes: [HistoryEntry<NotesChange>] = []
    var reschedules: [HistoryEntry<RescheduleChange>] = []
    /// Entries of all kinds that there have been: the sequence of the newest one.
    var count: Int64 = 0
  }
}

/// The time that an appointment takes: civil time as it was asked for, and what it means as instants.
struct AppointmentSlot: Sendable, Hashable {
  var date: CivilDate
  var time: CivilTimeOfDay
  /// Elapsed minutes.
  var duration: Int
  /// IANA name.
  var timeZone: String
  /// Which of two instants is meant, if the clock shows the time twice; otherwise unspecified.
  var fold: Fold
  var start: Instant

  /// The first instant after it.
  var end: Instant { start.adding(minutes: duration) }
  var interval: Range<Instant> { start..<max(start, end) }

  enum Fold: String, Sendable, Hashable {
    case unspecified, earlier, later
  }
}

/// One entry of an appointment's history with its place in it, from 1; all kinds count together.
struct HistoryEntry<Change: Sendable & Hashable>: Sendable, Hashable {
  var sequence: Int64
  var change: Change
  var at: Instant
  var by: String
}

struct StatusChange: Sendable, Hashable {
  var status: AppointmentStatus
  var reason: String?
}

struct NotesChange: Sendable, Hashable {
  /// The notes from then on; empty when they were cleared.
  var notes: String
}

struct RescheduleChange: Sendable, Hashable {
  var old: Placement
  var new: Placement

  struct Placement: Sendable, Hashable {
    var start: Instant
    var duration: Int
    var timeZone: String
  }
}
