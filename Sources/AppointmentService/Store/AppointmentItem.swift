internal import CivilTime
internal import Storage

/// The stored form of an appointment: the attributes and values of database-schema.md, and what the service adds.
enum AppointmentItem {
  /// Derived: local date, time and id, the order of lists (DOMAIN 7).
  static let orderKey = "orderKey"

  static func orderKey(of record: AppointmentRecord) -> String {
    "\(record.slot.date)T\(record.slot.time)#\(record.id)"
  }

  static func key(_ id: String, clinician: String) -> ItemKey { ItemKey(id, clinician) }

  static func item(_ record: AppointmentRecord) -> Item {
    let slot = record.slot
    var item: Item = [
      "id": .string(record.id),
      "userId": .string(record.clinician),
      "patientId": .string(record.patient),
      "date": .string(slot.date.description),
      "time": .string(slot.time.description),
      "duration": .number(Int64(slot.duration)),
      "type": .string(record.type.rawValue),
      "status": .string(record.status.rawValue),
      "statusHistory": .list(record.histories.status.map { .map(HistoryItem.attributes($0)) }),
      "createdAt": .string(record.createdAt.description),
      "updatedAt": .string(record.updatedAt.description),
      "createdBy": .string(record.createdBy),
      "updatedBy": .string(record.updatedBy),
      "version": .number(record.version),
      "timeZone": .string(slot.timeZone),
      "startTime": .string(slot.start.description),
      "endTime": .string(slot.end.description),
      "historyCount": .number(record.histories.count),
      orderKey: .string(orderKey(of: record)),
    ]
    item["notes"] = record.notes.map(AttributeValue.string)
    item["transcriptionId"] = record.transcriptionID.map(AttributeValue.string)
    if slot.fold != .unspecified { item["fold"] = .string(slot.fold.rawValue) }
    if let cancellation = record.cancellation {
      item["cancellationReason"] = .string(cancellation.reason)
      item["cancelledAt"] = .string(cancellation.at.description)
      item["cancelledBy"] = .string(cancellation.by)
    }
    if !record.histories.notes.isEmpty {
      item["notesHistory"] = .list(record.histories.notes.map { .map(HistoryItem.attributes($0)) })
    }
    if !record.histories.reschedules.isEmpty {
      item["rescheduleHistory"] = .list(record.histories.reschedules.map { .map(HistoryItem.attributes($0)) })
    }
    return item
  }

  static func record(_ item: Item) throws(StoreError) -> AppointmentRecord {
    let reader = ItemReader(item)
    let status: AppointmentStatus = try reader.value("status")
    var histories = AppointmentRecord.Histories()
    histories.status = try reader.list("statusHistory", HistoryItem.statusEntry)
    histories.notes = try reader.list("notesHistory", HistoryItem.notesEntry)
    histories.reschedules = try reader.list("rescheduleHistory", HistoryItem.rescheduleEntry)
    histories.count = try reader.number("historyCount")
    return AppointmentRecord(
      id: try reader.string("id"), clinician: try reader.string("userId"), patient: try reader.string("patientId"),
      slot: try slot(reader), type: try reader.value("type"), status: status,
      notes: try reader.optionalString("notes"), transcriptionID: try reader.optionalString("transcriptionId"),
      cancellation: reader.item["cancelledAt"] == nil ? nil : try cancellation(reader), histories: histories,
      createdAt: try reader.instant("createdAt"), createdBy: try reader.string("createdBy"),
      updatedAt: try reader.instant("updatedAt"), updatedBy: try reader.string("updatedBy"),
      version: try reader.number("version"))
  }

  private static func slot(_ reader: ItemReader) throws(StoreError) -> AppointmentSlot {
    let fold: AppointmentSlot.Fold = reader.item["fold"] == nil ? .unspecified : try reader.value("fold")
    let duration = try reader.require(Int(exactly: reader.number("duration")), "duration")
    return AppointmentSlot(
      date: try reader.date("date"), time: try reader.time("time"), duration: duration,
      timeZone: try reader.string("timeZone"), fold: fold, start: try reader.instant("startTime"))
  }

  private static func cancellation(_ reader: ItemReader) throws(StoreError) -> AppointmentRecord.Cancellation {
    AppointmentRecord.Cancellation(
      reason: try reader.string("cancellationReason"), at: try reader.instant("cancelledAt"),
      by: try reader.string("cancelledBy"))
  }
}
