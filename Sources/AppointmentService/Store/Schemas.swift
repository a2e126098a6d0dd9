internal import ServiceCore
internal import Storage

/// The tables that this service owns (database-schema.md, DESIGN 6).
enum Tables {
  /// Appointments, and what is written together with them: schedules, histories, links and idempotency records.
  ///
  /// The first three indexes are the document's. The others order by local date, time and id, which no documented key
  /// can do: of a clinician, and of a patient.
  static let appointments = TableSchema(
    name: "appointments",
    indexes: [
      IndexSchema(name: "patient-index", partitionKey: "patientId", sortKey: "date"),
      IndexSchema(name: "date-index", partitionKey: "userId", sortKey: "date"),
      IndexSchema(name: "status-index", partitionKey: "userId", sortKey: "status"),
      IndexSchema(name: "order-index", partitionKey: "userId", sortKey: AppointmentItem.orderKey),
      IndexSchema(name: "patient-order-index", partitionKey: "patientId", sortKey: AppointmentItem.orderKey),
    ],
    timeToLiveAttribute: ExpiringItem.attribute)

  static let timeBlocks = TableSchema(
    name: "timeblocks",
    indexes: [IndexSchema(name: "date-index", partitionKey: "userId", sortKey: "date")],
    timeToLiveAttribute: ExpiringItem.attribute)

  static let all = [appointments, timeBlocks]
}
