/// Status of an appointment; raw values are those of the stored items (database-schema.md).
enum AppointmentStatus: String, Sendable, Hashable, CaseIterable {
  case scheduled
  case confirmed
  case completed
  case cancelled
  case noShow = "no-show"

  /// Whether the appointment takes up the clinician's time: only cancelling frees it (DOMAIN 4, "What blocks time").
  var blocksTime: Bool { self != .cancelled }
}

/// What the state machine says about one change of status.
enum StatusTransition: Sendable, Hashable {
  case refused
  case allowed
  /// Allowed with a reason: cancelling, and corrections between completed and no-show.
  case allowedWithReason
  /// Takes the slot again: the patient has to be active, the slot free and not past.
  case reinstates
}

extension AppointmentStatus {
  /// The table of DOMAIN 4, "State machine"; a status never changes to itself.
  func transition(to next: AppointmentStatus) -> StatusTransition {
    switch (self, next) {
    case (.scheduled, .confirmed), (.scheduled, .completed), (.scheduled, .noShow),
      (.confirmed, .scheduled), (.confirmed, .completed), (.confirmed, .noShow):
      .allowed
    case (.scheduled, .cancelled), (.confirmed, .cancelled), (.completed, .noShow), (.noShow, .completed):
      .allowedWithReason
    case (.cancelled, .scheduled): .reinstates
    case (.scheduled, .scheduled), (.confirmed, .confirmed), (.completed, .completed), (.cancelled, .cancelled),
      (.noShow, .noShow), (.completed, .scheduled), (.completed, .confirmed), (.completed, .cancelled),
      (.noShow, .scheduled), (.noShow, .confirmed), (.noShow, .cancelled), (.cancelled, .confirmed),
      (.cancelled, .completed), (.cancelled, .noShow):
      .refused
    }
  }

  /// Where it may go from here, in the order of the table's columns.
  var successors: [AppointmentStatus] { Self.allCases.filter { transition(to: $0) != .refused } }
}

/// Type of an appointment; raw values are those of the stored items (database-schema.md).
enum AppointmentType: String, Sendable, Hashable, CaseIterable {
  case consultation
  case followUp = "follow-up"
  case procedure
  case urgent

  /// Minutes that a booking without a duration gets (DOMAIN 4).
  var defaultDuration: Int {
    switch self {
    case .consultation: 60
    case .followUp: 30
    case .procedure: 90
    case .urgent: 45
    }
  }
}
