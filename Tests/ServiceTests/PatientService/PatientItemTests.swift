import CivilTime
import Storage
import Testing

@testable import PatientService

@Suite("Items of the table Patients (database-schema.md)")
struct PatientItemTests {
  /// The document's example, with what we add.
  private static let example: Item = [
    "id": "550e8400-e29b-41d4-a716-446655440000", "userId": "clinician-123", "mrn": "MRN-12345", "firstName": "John",
    "lastName": "Doe", "dateOfBirth": "1980-01-15", "gender": "male", "phone": "+14165551234",
    "email": "john.doe@example.com",
    "address": .map([
      "street": "123 Main St", "city": "Toronto", "province": "ON", "postalCode": "M1A 1A1", "country": "Canada",
    ]),
    "preferredContactMethod": "email", "status": "active", "cognitoUserId": "cognito-user-id-123",
    "accountStatus": "active", "invitationSentAt": "2025-01-15T09:05:00Z", "activatedAt": "2025-01-16T10:30:00Z",
    "lastLoginAt": "2025-12-05T10:30:00Z", "createdAt": "2025-01-15T09:00:00Z", "updatedAt": "2025-12-01T14:20:00Z",
    "createdBy": "clinician-123", "updatedBy": "clinician-123",
    "version": 3, "phoneDigits": "14165551234",
    "statusNameKey": "active\u{01}doe\u{01}john\u{01}550e8400-e29b-41d4-a716-446655440000",
    "nameKey": "doe\u{01}john\u{01}550e8400-e29b-41d4-a716-446655440000",
  ]

  @Test("the document's example is read and written back as it is")
  func example() throws {
    let record = try PatientItem.decode(Self.example)
    #expect(record.details.address?.postalCode == "M1A 1A1")
    #expect(record.account.lastLoginAt == Instant("2025-12-05T10:30:00Z"))
    #expect(PatientItem.encode(record) == Self.example)
  }

  @Test("NULL and absent are the same")
  func null() throws {
    var item = Self.example
    item["invitationToken"] = .null
    item["invitationExpiresAt"] = .null
    item["address"] = .null
    let record = try PatientItem.decode(item)
    #expect(record.account.invitationTokenHash == nil && record.details.address == nil)
  }

  @Test("instants keep their microseconds")
  func microseconds() throws {
    var record = try PatientItem.decode(Self.example)
    record.updatedAt = Instant(microseconds: 1_764_599_999_000_001)
    #expect(try PatientItem.decode(PatientItem.encode(record)).updatedAt == record.updatedAt)
  }

  @Test(
    "an item that is not what the layout says is named by its attribute",
    arguments: [
      ("gender", "prefer not to say"), ("dateOfBirth", "15.01.1980"), ("createdAt", "yesterday"), ("status", "gone"),
      ("version", "3"), ("address", "123 Main St"), ("activatedAt", ""),
    ] as [(String, AttributeValue)])
  func malformed(attribute: String, value: AttributeValue) {
    var item = Self.example
    item[attribute] = value
    #expect(throws: PatientItem.Malformed(attribute: attribute)) { try PatientItem.decode(item) }
    item[attribute] = .bool(true)
    #expect(throws: PatientItem.Malformed(attribute: attribute)) { try PatientItem.decode(item) }
  }

  @Test("the longest legal names fit the bounds of an index key, and order is by folded name")
  func orderKey() throws {
    var record = try PatientItem.decode(Self.example)
    record.details.lastName = String(repeating: "\u{FDFA}", count: 100)
    record.details.firstName = String(repeating: "\u{1F600}", count: 100)
    #expect(PatientOrder.key(record).utf8.count <= 1024)
    let names = ["Ålborg", "O'Brien", "obrien", "Öztürk", "van Dyk", "Vandyk", "Zoë"]
    let keys = names.map { name in
      record.details.lastName = name
      record.details.firstName = "A"
      return PatientOrder.key(record)
    }
    #expect(keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } == keys)
  }

  @Test("the table has the document's indexes, and not more than five")
  func schema() {
    let indexes = PatientTable.schema.indexes.map { "\($0.name) \($0.partitionKey) \($0.sortKey)" }
    #expect(
      indexes.prefix(3) == ["mrn-index mrn userId", "status-index userId status", "lastName-index userId lastName"])
    #expect(indexes.count <= 5)
  }

  @Test("sentinels have no attribute of an index")
  func sentinels() throws {
    let sentinel = PatientTable.mrnSentinel(try PatientItem.decode(Self.example))
    for index in PatientTable.schema.indexes {
      #expect(sentinel[index.partitionKey] == nil || sentinel[index.sortKey] == nil)
    }
  }
}
