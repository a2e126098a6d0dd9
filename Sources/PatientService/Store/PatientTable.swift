internal import CivilTime
internal import ServiceCore
internal import Storage

/// The table Patients: the document's keys and indexes, and what is kept beside the patients.
///
/// Items other than patients have a key with a `#` and no attribute of an index, so that the indexes hold patients
/// only. Source: database-schema.md, DESIGN 6.
enum PatientTable {
  static let schema = TableSchema(
    name: "patients",
    indexes: [
      IndexSchema(name: "mrn-index", partitionKey: "mrn", sortKey: "userId"),
      IndexSchema(name: "status-index", partitionKey: "userId", sortKey: "status"),
      IndexSchema(name: "lastName-index", partitionKey: "userId", sortKey: "lastName"),
      // Ours: one clinician's patients of one status, in the order of their folded names.
      IndexSchema(name: statusNameIndex, partitionKey: "userId", sortKey: statusNameAttribute),
      // Ours: all of one clinician's patients in that order; a change of status moves nobody.
      IndexSchema(name: nameIndex, partitionKey: "userId", sortKey: nameAttribute),
    ], timeToLiveAttribute: ExpiringItem.attribute)

  static let mrnIndex = "mrn-index"
  static let statusNameIndex = "status-name-index"
  static let statusNameAttribute = "statusNameKey"
  static let nameIndex = "name-index"
  static let nameAttribute = "nameKey"

  static func key(id: String, userId: String) -> ItemKey { ItemKey(id, userId) }

  /// The item that makes a record number unique over all clinicians.
  static func mrnSentinel(_ record: PatientRecord) -> Item {
    ["id": .string("mrn#\(record.mrn)"), "userId": "-", "patientId": .string(record.id)]
  }

  /// The item of a live invitation, found by the hash of its token.
  static func invitationKey(tokenHash: String) -> ItemKey { ItemKey("invitation#\(tokenHash)", "-") }
}

/// A place in the order of a clinician's patients: (fold(last), fold(first), id). Source: DOMAIN 7.
enum PatientOrder {
  /// Sorts before everything that a folded name can hold.
  private static let separator = "\u{01}"
  /// DynamoDB bounds a sort key at 1024 bytes: two names, an id and a status fit. Compatibility decomposition can make
  /// a legal name longer; names that differ only beyond this are ordered by id.
  private static let maxNameBytes = 450

  /// The place among the patients of the same status.
  static func key(_ record: PatientRecord) -> String { prefix(record.status) + nameKey(record) }

  /// The place among all patients of the clinician.
  static func nameKey(_ record: PatientRecord) -> String {
    let last = cut(fold(record.details.lastName))
    let first = cut(fold(record.details.firstName))
    return [last, first, record.id].joined(separator: separator)
  }

  /// What the keys of all patients of a status begin with.
  static func prefix(_ status: PatientStatus) -> String { status.rawValue + separator }

  /// As much of a folded name as is in a key.
  static func cut(_ name: String) -> String {
    guard name.utf8.count > maxNameBytes else { return name }
    var bytes = 0
    return String(
      String.UnicodeScalarView(
        name.unicodeScalars.prefix {
          bytes += UTF8.width($0)
          return bytes <= maxNameBytes
        }))
  }
}
