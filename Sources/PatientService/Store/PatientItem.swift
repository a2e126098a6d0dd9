internal import CivilTime
internal import Storage

/// A patient as an item of the table: the document's attribute names and values, plus what we derive.
///
/// Instants are RFC 3339 in UTC, to the microsecond where they have one. Source: database-schema.md.
enum PatientItem {
  /// The attribute that does not hold what the layout says; its value is not told.
  struct Malformed: Error, Hashable {
    let attribute: String
  }

  static func encode(_ record: PatientRecord) -> Item {
    let details = record.details
    let account = record.account
    var item: Item = [
      "id": .string(record.id),
      "userId": .string(record.userId),
      "mrn": .string(record.mrn),
      "firstName": .string(details.firstName),
      "lastName": .string(details.lastName),
      "dateOfBirth": .string(details.dateOfBirth.description),
      "gender": .string(details.gender.rawValue),
      "phone": .string(details.phone),
      "email": .string(details.email),
      "status": .string(record.status.rawValue),
      "accountStatus": .string(account.status.rawValue),
      "createdAt": .string(record.createdAt.description),
      "createdBy": .string(record.createdBy),
      "updatedAt": .string(record.updatedAt.description),
      "updatedBy": .string(record.updatedBy),
      // Beyond the document.
      "version": .number(record.version),
      "phoneDigits": .string(PatientRules.phoneDigits(details.phone)),
      PatientTable.statusNameAttribute: .string(PatientOrder.key(record)),
      PatientTable.nameAttribute: .string(PatientOrder.nameKey(record)),
    ]
    item["address"] = details.address.map { .map(encode($0)) }
    item["preferredContactMethod"] = details.preferredContactMethod.map { .string($0.rawValue) }
    item["cognitoUserId"] = account.cognitoUserId.map(AttributeValue.string)
    item["invitationToken"] = account.invitationTokenHash.map(AttributeValue.string)
    item["invitationSentAt"] = account.invitationSentAt.map { .string($0.description) }
    item["invitationExpiresAt"] = account.invitationExpiresAt.map { .string($0.description) }
    item["activatedAt"] = account.activatedAt.map { .string($0.description) }
    item["lastLoginAt"] = account.lastLoginAt.map { .string($0.description) }
    return item
  }

  /// An attribute that is absent and one that is NULL are the same, as in the document's example.
  static func decode(_ item: Item) throws(Malformed) -> PatientRecord {
    let reader = ItemReader(item: item)
    return PatientRecord(
      id: try reader.string("id"), userId: try reader.string("userId"), mrn: try reader.string("mrn"),
      details: PatientDetails(
        firstName: try reader.string("firstName"), lastName: try reader.string("lastName"),
        dateOfBirth: try reader.required("dateOfBirth") { CivilDate($0) },
        gender: try reader.required("gender") { Gender(rawValue: $0) }, phone: try reader.string("phone"),
        email: try reader.string("email"), address: try decodeAddress(item["address"]),
        preferredContactMethod: try reader.optional("preferredContactMethod") { ContactMethod(rawValue: $0) }),
      status: try reader.required("status") { PatientStatus(rawValue: $0) },
      account: PortalAccount(
        status: try reader.required("accountStatus") { AccountStatus(rawValue: $0) },
        cognitoUserId: try reader.optional("cognitoUserId") { $0 },
        invitationTokenHash: try reader.optional("invitationToken") { $0 },
        invitationSentAt: try reader.optional("invitationSentAt") { Instant($0) },
        invitationExpiresAt: try reader.optional("invitationExpiresAt") { Instant($0) },
        activatedAt: try reader.optional("activatedAt") { Instant($0) },
        lastLoginAt: try reader.optional("lastLoginAt") { Instant($0) }),
      createdAt: try reader.required("createdAt") { Instant($0) }, createdBy: try reader.string("createdBy"),
      updatedAt: try reader.required("updatedAt") { Instant($0) }, updatedBy: try reader.string("updatedBy"),
      version: try reader.number("version"))
  }
}

extension PatientItem {
  private static func encode(_ address: Address) -> Item {
    [
      "street": .string(address.street), "city": .string(address.city), "province": .string(address.province),
      "postalCode": .string(address.postalCode), "country": .string(address.country),
    ]
  }

  private static func decodeAddress(_ value: AttributeValue?) throws(Malformed) -> Address? {
    guard let value, value != .null else { return nil }
    guard let map = value.mapValue else { throw Malformed(attribute: "address") }
    let reader = ItemReader(item: map)
    return Address(
      street: try reader.string("street"), city: try reader.string("city"), province: try reader.string("province"),
      postalCode: try reader.string("postalCode"), country: try reader.string("country"))
  }
}

private struct ItemReader {
  let item: Item

  func string(_ name: String) throws(PatientItem.Malformed) -> String { try required(name) { $0 } }

  func number(_ name: String) throws(PatientItem.Malformed) -> Int64 {
    guard let value = item[name]?.numberValue else { throw PatientItem.Malformed(attribute: name) }
    return value
  }

  func required<Value>(_ name: String, _ parse: (String) -> Value?) throws(PatientItem.Malformed) -> Value {
    guard let value = item[name]?.stringValue.flatMap(parse) else { throw PatientItem.Malformed(attribute: name) }
    return value
  }

  func optional<Value>(_ name: String, _ parse: (String) -> Value?) throws(PatientItem.Malformed) -> Value? {
    switch item[name] {
    case nil, .null: nil
    default: try required(name, parse)
    }
  }
}
