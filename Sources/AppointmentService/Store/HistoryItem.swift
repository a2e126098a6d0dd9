internal import CivilTime
internal import Storage

/// The stored forms of history entries: as elements of an appointment's own lists, and, beyond what those hold, as
/// items of their own (DESIGN 6).
enum HistoryItem {
  enum Kind: String, Sendable { case status, notes, reschedule }

  /// Key of an entry that is an item of its own: entries of one appointment share a partition and are in order there.
  static func key(appointment: String, clinician: String, sequence: Int64) -> ItemKey {
    let digits = String(sequence)
    return ItemKey(
      partition(appointment: appointment),
      clinician + "#" + String(repeating: "0", count: max(0, 12 - digits.count)) + digits)
  }

  static func partition(appointment: String) -> String { "history#\(appointment)" }

  static func item(
    _ kind: Kind, _ attributes: Item, sequence: Int64, of record: AppointmentRecord
  ) -> Item {
    let key = key(appointment: record.id, clinician: record.clinician, sequence: sequence)
    var item: Item = [:]
    item["id"] = .string(key.partition)
    item["userId"] = .string(key.sort)
    item["kind"] = .string(kind.rawValue)
    item["entry"] = .map(attributes)
    return item
  }

  static func attributes(_ entry: HistoryEntry<StatusChange>) -> Item {
    var item = common(entry)
    item["status"] = .string(entry.change.status.rawValue)
    item["reason"] = entry.change.reason.map(AttributeValue.string)
    return item
  }

  static func attributes(_ entry: HistoryEntry<NotesChange>) -> Item {
    var item = common(entry)
    item["notes"] = .string(entry.change.notes)
    return item
  }

  static func attributes(_ entry: HistoryEntry<RescheduleChange>) -> Item {
    var item = common(entry)
    item["oldStartTime"] = .string(entry.change.old.start.description)
    item["oldDuration"] = .number(Int64(entry.change.old.duration))
    item["oldTimeZone"] = .string(entry.change.old.timeZone)
    item["newStartTime"] = .string(entry.change.new.start.description)
    item["newDuration"] = .number(Int64(entry.change.new.duration))
    item["newTimeZone"] = .string(entry.change.new.timeZone)
    return item
  }

  /// An entry that is an item of its own.
  static func entry(_ item: Item) throws(StoreError) -> AppointmentHistoryEntry {
    let reader = ItemReader(item)
    let entry = ItemReader(try reader.require(item["entry"]?.mapValue, "entry"))
    switch try reader.value("kind", as: Kind.self) {
    case .status: return .status(try statusEntry(entry))
    case .notes: return .notes(try notesEntry(entry))
    case .reschedule: return .reschedule(try rescheduleEntry(entry))
    }
  }

  static func statusEntry(_ reader: ItemReader) throws(StoreError) -> HistoryEntry<StatusChange> {
    try entry(
      reader, StatusChange(status: reader.value("status"), reason: reader.optionalString("reason")))
  }

  static func notesEntry(_ reader: ItemReader) throws(StoreError) -> HistoryEntry<NotesChange> {
    try entry(reader, NotesChange(notes: reader.string("notes")))
  }

  static func rescheduleEntry(_ reader: ItemReader) throws(StoreError) -> HistoryEntry<RescheduleChange> {
    func placement(_ prefix: String) throws(StoreError) -> RescheduleChange.Placement {
      let duration = try reader.require(Int(exactly: reader.number(prefix + "Duration")), prefix + "Duration")
      return RescheduleChange.Placement(
        start: try reader.instant(prefix + "StartTime"), duration: duration,
        timeZone: try reader.string(prefix + "TimeZone"))
    }
    return try entry(reader, RescheduleChange(old: placement("old"), new: placement("new")))
  }

  private static func common<Change>(_ entry: HistoryEntry<Change>) -> Item {
    [
      "timestamp": .string(entry.at.description), "changedBy": .string(entry.by), "sequence": .number(entry.sequence),
    ]
  }

  private static func entry<Change>(
    _ reader: ItemReader, _ change: Change
  ) throws(StoreError) -> HistoryEntry<Change> {
    HistoryEntry(
      sequence: try reader.number("sequence"), change: change, at: try reader.instant("timestamp"),
      by: try reader.string("changedBy"))
  }
}
