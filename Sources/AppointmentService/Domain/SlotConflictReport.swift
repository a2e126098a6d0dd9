internal import CivilTime
internal import Contract
internal import RPC
internal import ServiceCore

/// What is in the way of a booking, and what could be booked instead (DOMAIN 4, "Conflict error").
///
/// Names appointments and time blocks by id only: no patient, no notes.
struct SlotConflictReport: Sendable, Hashable {
  /// All conflicts, in the order of time.
  var conflicts: [BusyInterval]
  var suggestions: [AppointmentSlot]
  /// Whose wall clock the conflicts are described by: that of the refused booking.
  var rules: TimeZoneRules
  /// Which one of a batch was refused.
  var requestIndex: Int?
  /// What was refused: a booking or a time block.
  var reason = ErrorReason.slotConflict

  /// The most conflicts that are named.
  static let namedConflicts = 20
  /// All details together, as bytes of `google.rpc.Status`: they travel in a header as base64, so this is 4 KiB there.
  static let maxDetailBytes = 3072

  func error(_ errors: ServiceErrors) -> RPCError {
    var violations = conflicts.prefix(Self.namedConflicts).map { conflict in
      ErrorDetail.PreconditionViolation(
        type: conflict.kind == .appointment ? "APPOINTMENT" : "TIME_BLOCK", subject: conflict.id,
        description: rules.describe(conflict.interval))
    }
    let typed = slotConflict
    while violations.count > 1, Self.bytes(of: violations) + typed.value.count + 400 > Self.maxDetailBytes {
      violations.removeLast()
    }
    return errors.make(
      reason, "The clinician is busy at that time\(requestIndex.map { ": requests[\($0)]" } ?? "").",
      metadata: ["conflict_count": String(conflicts.count)],
      details: [.preconditionFailure(violations), .other(typeURL: typed.typeURL, value: typed.value)])
  }

  /// The typed detail of the contract.
  private var slotConflict: (typeURL: String, value: [UInt8]) {
    var message = AppointmentV1.SlotConflict()
    message.suggestedStarts = suggestions.map(AppointmentV1.Slot.init)
    message.conflictCount = Int32(clamping: conflicts.count)
    message.requestIndex = requestIndex.map { Int32(clamping: $0) }
    // Serializing fails only beyond 2 GiB.
    let bytes = (try? message.serialized()).map { Array($0.readableBytesView) } ?? []
    return ("type.googleapis.com/clinicavoice.appointment.v1.SlotConflict", bytes)
  }

  /// An upper bound of the encoded size: three strings with tag and length, and the violation's own.
  private static func bytes(of violations: [ErrorDetail.PreconditionViolation]) -> Int {
    violations.reduce(0) { sum, violation in
      sum + violation.type.utf8.count + violation.subject.utf8.count + violation.description.utf8.count + 10
    }
  }
}

extension TimeZoneRules {
  /// `2025-12-10 14:00–14:30 America/Toronto`; the end's date only where it differs.
  fileprivate func describe(_ interval: Range<Instant>) -> String {
    let (start, end) = (local(at: interval.lowerBound), local(at: interval.upperBound))
    return start.date == end.date ? "\(start)–\(end.time) \(id)" : "\(start)–\(end) \(id)"
  }
}
