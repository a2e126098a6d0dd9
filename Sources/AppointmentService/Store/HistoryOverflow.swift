internal import Storage

/// Keeps what an appointment's own item carries of its histories within bounds; older entries become items of their
/// own, so that no history makes an item unwritable (DOMAIN 8).
enum HistoryOverflow {
  /// Entries of each kind that stay with the appointment (DOMAIN 4: the latest 50 inline).
  static let inlineEntries = 50
  /// UTF-8 bytes of notes in the inline notes history. With the largest notes and 50 entries of the other kinds the
  /// item stays well below 400 KiB.
  static let inlineNotesBytes = 160 * 1024

  /// Takes the oldest entries out of a record that has just grown; returns the writes that keep them.
  static func trim(_ record: inout AppointmentRecord) -> [Write] {
    var writes: [Write] = []
    func moveOldest<Change>(
      _ kind: HistoryItem.Kind, _ path: WritableKeyPath<AppointmentRecord.Histories, [HistoryEntry<Change>]>,
      _ attributes: (HistoryEntry<Change>) -> Item
    ) {
      let oldest = record.histories[keyPath: path].removeFirst()
      let item = HistoryItem.item(kind, attributes(oldest), sequence: oldest.sequence, of: record)
      writes.append(.put(item, in: Tables.appointments, if: .notExists("id")))
    }
    while record.histories.status.count > inlineEntries {
      moveOldest(.status, \.status) { HistoryItem.attributes($0) }
    }
    while record.histories.reschedules.count > inlineEntries {
      moveOldest(.reschedule, \.reschedules) { HistoryItem.attributes($0) }
    }
    while record.histories.notes.count > inlineEntries
      || (record.histories.notes.count > 1 && record.histories.inlineNotesBytes > inlineNotesBytes)
    {
      moveOldest(.notes, \.notes) { HistoryItem.attributes($0) }
    }
    return writes
  }
}

extension AppointmentRecord.Histories {
  fileprivate var inlineNotesBytes: Int { notes.reduce(0) { $0 + $1.change.notes.utf8.count } }
}
