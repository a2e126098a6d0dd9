internal import Storage

/// The table of patients and what CreatePatient writes to it: same keys, indexes and attributes, random ids.
///
/// patient-service's own code cannot be linked into a tool; `PatientTable` and `PatientItem` there are the originals.
struct Patients {
  static let table = TableSchema(
    name: "patients",
    indexes: [
      IndexSchema(name: "mrn-index", partitionKey: "mrn", sortKey: "userId"),
      IndexSchema(name: "status-index", partitionKey: "userId", sortKey: "status"),
      IndexSchema(name: "lastName-index", partitionKey: "userId", sortKey: "lastName"),
      IndexSchema(name: "status-name-index", partitionKey: "userId", sortKey: "statusNameKey"),
      IndexSchema(name: "name-index", partitionKey: "userId", sortKey: "nameKey"),
    ], timeToLiveAttribute: "invitationExpiresAt")

  let clinicians: [String]
  private var random: SplitMix

  /// - Parameter clinicians: how many share the patients; their ids depend on nothing else.
  init(clinicians: Int, seed: UInt64) {
    var ids = SplitMix(state: 1)
    self.clinicians = (0..<clinicians).map { _ in ids.uuid() }
    random = SplitMix(state: seed)
  }

  /// A patient and the item that makes its record number unique.
  ///
  /// - Parameter day: in the record number, which grows with time.
  mutating func registration(of user: String, day: Int) -> (key: ItemKey, writes: [Write]) {
    let item = patient(of: user, mrn: "MRN-\(day)-\(random.digits(16))")
    let key = Self.table.key(of: item) ?? ItemKey("", "")
    let sentinel: Item = [
      "id": .string("mrn#\(item["mrn"]?.stringValue ?? "")"), "userId": "-", "patientId": .string(key.partition),
    ]
    return (
      key,
      [.put(item, in: Self.table, if: .notExists("id")), .put(sentinel, in: Self.table, if: .notExists("id"))]
    )
  }

  /// The transaction of CreatePatient: with the record that makes a repeat recognizable.
  mutating func create() -> [Write] {
    let (key, writes) = registration(of: clinician(), day: 20_260_115)
    let record: Item = [
      "id": .string("idempotency#\(random.hex(64))"), "userId": "-",
      "requestHash": .binary((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }),
      "resources": .list([.string(key.partition)]), "recordedAt": .number(1_780_000_000_000_000),
      "invitationExpiresAt": .number(4_000_000_000),
    ]
    let isAbsent = Condition.or([.notExists("id"), .lessThan("invitationExpiresAt", .number(1_780_000_001))])
    return writes + [.put(record, in: Self.table, if: isAbsent)]
  }

  /// Some clinician's id.
  mutating func clinician() -> String { clinicians[Int.random(in: 0..<clinicians.count, using: &random)] }

  /// About 700 bytes.
  private mutating func patient(of user: String, mrn: String) -> Item {
    let id = random.uuid()
    let (first, last) = (name(), name())
    let place = [last, first, id].joined(separator: "\u{01}").lowercased()
    return [
      "id": .string(id), "userId": .string(user), "mrn": .string(mrn),
      "firstName": .string(first), "lastName": .string(last), "dateOfBirth": "1980-01-15", "gender": "female",
      "phone": .string("+1 416 555 \(random.digits(4))"), "email": .string("\(first).\(last)@example.com"),
      "status": "active", "accountStatus": "not_invited", "createdAt": "2026-01-15T09:00:00.123456Z",
      "createdBy": .string(user), "updatedAt": "2026-01-15T09:00:00.123456Z", "updatedBy": .string(user),
      "version": .number(1), "phoneDigits": .string("1416555\(random.digits(4))"),
      "statusNameKey": .string("active\u{01}\(place)"), "nameKey": .string(place), "preferredContactMethod": "email",
      "address": .map([
        "street": .string("\(random.digits(3)) \(name()) Street"), "city": .string(name()), "province": "Ontario",
        "postalCode": "M5V 2T6", "country": "Canada",
      ]),
    ]
  }

  private mutating func name() -> String {
    let syllables = ["ma", "ri", "lo", "ne", "vi", "sta", "ko", "del", "bru", "an", "tes", "hu"]
    let text = (0..<Int.random(in: 2...4, using: &random)).map { _ in
      syllables[Int.random(in: 0..<syllables.count, using: &random)]
    }
    return text.joined().capitalized
  }
}

extension String {
  fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }
}

/// SplitMix64, so that every run writes the same.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  mutating func hex(_ count: Int) -> String {
    String(decoding: (0..<count).map { _ in Array("0123456789abcdef".utf8)[Int(next() & 15)] }, as: UTF8.self)
  }

  mutating func digits(_ count: Int) -> String {
    String(decoding: (0..<count).map { _ in UInt8(ascii: "0") + UInt8(next() % 10) }, as: UTF8.self)
  }

  mutating func uuid() -> String {
    let digits = hex(30)
    let parts = [(0, 8), (8, 4), (12, 3), (15, 3), (18, 12)].map { start, count in
      String(digits.dropFirst(start).prefix(count))
    }
    return "\(parts[0])-\(parts[1])-4\(parts[2])-a\(parts[3])-\(parts[4])"
  }
}
