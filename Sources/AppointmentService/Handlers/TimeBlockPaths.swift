internal import Contract
internal import ServiceCore

/// The fields of a time block by their paths in the contract, for masks.
enum TimeBlockPaths {
  private typealias TimeBlock = AppointmentV1.TimeBlock
  private typealias Copy = @Sendable (TimeBlock, inout TimeBlock) -> Void

  /// Always answered, whatever a mask says.
  private static let identity: Set<String> = ["id", "user_id", "version", "etag"]

  private static let output: [String: Copy] = [
    "id": { $1.id = $0.id },
    "user_id": { $1.userId = $0.userId },
    "created_at": { $1.createdAt = $0.createdAt },
    "created_by": { $1.createdBy = $0.createdBy },
    "updated_at": { $1.updatedAt = $0.updatedAt },
    "updated_by": { $1.updatedBy = $0.updatedBy },
    "version": { $1.version = $0.version },
    "etag": { $1.etag = $0.etag },
  ]

  private static let content: [String: Copy] = [
    "date": { $1.date = $0.date },
    "start_time": { $1.startTime = $0.startTime },
    "end_time": { $1.endTime = $0.endTime },
    "recurrence": { $1.recurrence = $0.recurrence },
    "recurrence.type": { source, target in member(source, &target) { $1.type = $0.type } },
    "recurrence.end_date": { source, target in member(source, &target) { $1.endDate = $0.endDate } },
    "recurrence.days_of_week": { source, target in member(source, &target) { $1.daysOfWeek = $0.daysOfWeek } },
    "recurrence.interval": { source, target in member(source, &target) { $1.interval = $0.interval } },
    "recurrence.dates": { source, target in member(source, &target) { $1.dates = $0.dates } },
    "recurrence.excluded_dates": { source, target in
      member(source, &target) { $1.excludedDates = $0.excludedDates }
    },
    "reason": { $1.reason = $0.reason },
    "type": { $1.type = $0.type },
    "time_zone": { $1.timeZone = $0.timeZone },
  ]

  /// All fields that a mask can name.
  static var all: Set<String> { Set(content.keys).union(output.keys) }

  /// Copies a member of the recurrence; where neither side has one, none comes into being.
  private static func member(
    _ source: TimeBlock, _ target: inout TimeBlock,
    _ copy: (AppointmentV1.Recurrence, inout AppointmentV1.Recurrence) -> Void
  ) {
    if source.recurrence == nil, target.recurrence == nil { return }
    var recurrence = target.recurrence ?? AppointmentV1.Recurrence()
    copy(source.recurrence ?? AppointmentV1.Recurrence(), &recurrence)
    target.recurrence = recurrence
  }

  /// Copies the fields of `paths`, wholes before their members.
  private static func copy(_ paths: Set<String>, from source: TimeBlock, to target: inout TimeBlock) {
    for path in paths.sorted() { (content[path] ?? output[path])?(source, &target) }
  }
}

extension TimeBlockPaths {
  /// What a read mask asks for; `nil`: everything.
  struct ReadMask: Sendable, Hashable {
    private let paths: Set<String>?

    /// Notes a violation for each unknown path.
    init(_ paths: [String]?, at field: String, _ violations: inout FieldViolations) {
      guard let paths, !paths.isEmpty, paths != ["*"] else {
        self.paths = nil
        return
      }
      for (index, path) in paths.enumerated() where content[path] == nil && output[path] == nil {
        violations.add(.unknownField, at: "\(field).paths[\(index)]", "A time block has no such field.")
      }
      self.paths = Set(paths).union(identity)
    }

    func apply(to block: AppointmentV1.TimeBlock) -> AppointmentV1.TimeBlock {
      guard let paths else { return block }
      var result = AppointmentV1.TimeBlock()
      copy(paths, from: block, to: &result)
      return result
    }
  }

  /// New values for some of a time block's fields.
  struct Patch: Sendable {
    private let message: AppointmentV1.TimeBlock
    private let paths: Set<String>

    /// - Parameter mask: `nil` or empty: all changeable fields that are populated.
    init(_ message: AppointmentV1.TimeBlock, mask: [String]?, _ violations: inout FieldViolations) {
      self.message = message
      guard let mask, !mask.isEmpty else {
        let empty = AppointmentV1.TimeBlock()
        paths = Set(
          content.filter { path, copy in
            var populated = AppointmentV1.TimeBlock()
            copy(message, &populated)
            return !path.contains(".") && populated != empty
          }.keys)
        if paths.isEmpty { violations.add(.required, at: "update_mask", "At least one field has to be named.") }
        return
      }
      for (index, path) in mask.enumerated() where content[path] == nil {
        let field = "update_mask.paths[\(index)]"
        if output[path] != nil {
          violations.add(.notUpdatable, at: field, "The service sets this field.")
        } else {
          violations.add(.unknownField, at: field, "A time block has no such field.")
        }
      }
      paths = Set(mask)
    }

    /// Notes what is wrong with the named fields on their own; what they mean together depends on the block.
    func check(at path: FieldPath, zones: SlotZones, _ violations: inout FieldViolations) throws {
      var found = FieldViolations()
      _ = try TimeBlockFields(message, at: path, zones: zones, &found)
      for violation in found.all where isNamed(violation.field, in: path) {
        guard let reason = FieldReason(rawValue: violation.reason) else { continue }
        violations.add(reason, at: violation.field, violation.description)
      }
      if paths.contains("time_zone"), message.timeZone.isEmpty {
        violations.add(
          .unknownTimeZone, at: path.field("time_zone"), "A time zone is an IANA name such as America/Toronto.")
      }
    }

    private func isNamed(_ field: String, in path: FieldPath) -> Bool {
      paths.contains { name in
        let named = path.field(name)
        return field == named || field.hasPrefix(named + ".") || field.hasPrefix(named + "[")
      }
    }

    func applied(to block: AppointmentV1.TimeBlock) -> AppointmentV1.TimeBlock {
      var result = block
      copy(paths, from: message, to: &result)
      return result
    }
  }
}
