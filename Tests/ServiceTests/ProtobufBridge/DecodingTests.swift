internal import Contract
internal import NIOCore
internal import ProtobufBridge
internal import RPC
internal import StandardProtos
internal import Testing

@Suite("Decoding what peers may send")
struct DecodingTests {
  @Test("a string that is not UTF-8 is refused with its path and without its value")
  func invalidUTF8() throws {
    let patient = tag(4, 2) + delimited([0x66, 0xff, 0x6f])
    let list = tag(1, 2) + delimited([]) + tag(1, 2) + delimited(patient)
    let error = #expect(throws: WireMessageError.self) { try PatientV1.ListPatientsResponse(serializedBytes: list) }
    let text = try #require(error?.description)
    #expect(text == "clinicavoice.patient.v1.ListPatientsResponse: patients[1].first_name is not valid UTF-8.")
  }

  @Test(
    "ill-formed UTF-8 of every kind is refused",
    arguments: [
      [0x80], [0xc0, 0x80], [0xc3], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80],
      [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe],
    ] as [[UInt8]])
  func illFormed(bytes: [UInt8]) {
    // Long enough not to be a small string as well as short.
    for padding in [0, 40] {
      let content = [UInt8](repeating: 0x61, count: padding) + bytes
      #expect(throws: WireMessageError.self) {
        try PatientV1.Patient(serializedBytes: tag(4, 2) + delimited(content))
      }
    }
  }

  @Test("NUL inside a string stays, both ways")
  func nul() throws {
    let bytes = tag(4, 2) + delimited(Array("a\0b".utf8))
    let patient = try PatientV1.Patient(serializedBytes: bytes)
    #expect(patient.firstName == "a\0b")
    #expect(try patient.serializedBytes() == bytes)
  }

  @Test("an unknown enum number stays, negative ones too", arguments: [17, -1, .max, .min] as [Int32])
  func unknownEnum(number: Int32) throws {
    let bytes = tag(7, 0) + varint(UInt64(bitPattern: Int64(number)))
    let patient = try PatientV1.Patient(serializedBytes: bytes)
    #expect(patient.gender.rawValue == number)
    #expect(!patient.gender.isKnown)
    #expect(try patient.serializedBytes() == bytes)
  }

  @Test("an optional field distinguishes absent from zero")
  func presence() throws {
    #expect(try PatientV1.Patient(serializedBytes: []).age == nil)
    let bytes = tag(32, 0) + varint(0)
    let patient = try PatientV1.Patient(serializedBytes: bytes)
    #expect(patient.age == 0)
    #expect(try patient.serializedBytes() == bytes)
  }

  @Test("the tag of an unknown field is kept as short as it can be, as it is sent", arguments: [0, 1, 3])
  func overlongUnknownTag(padding: Int) throws {
    // Field 5, length-delimited, in as many bytes as the padding makes it; then field 15, a varint.
    let tag = padding == 0 ? [0x2a] : [0xaa] + [UInt8](repeating: 0x80, count: padding - 1) + [0]
    let status = try GoogleRPC.Status(serializedBytes: tag + [3, 0, 0x78, 1, 0x78, 7])
    #expect(status.unknownFields == [0x2a, 3, 0, 0x78, 1, 0x78, 7])
    #expect(try GoogleRPC.Status(serializedBytes: status.serializedBytes()) == status)
  }

  @Test("unknown fields and groups come out as they came in, in nested messages too")
  func unknownFields() throws {
    let group = tag(900, 3) + tag(901, 3) + tag(901, 4) + tag(5, 0) + varint(300) + tag(900, 4)
    let unknown = tag(800, 0) + varint(1) + group + tag(801, 2) + delimited([1, 2, 3])
    let patient = tag(1, 2) + delimited(Array("id".utf8)) + unknown
    let bytes = tag(1, 2) + delimited(patient) + unknown
    let response = try PatientV1.GetPatientResponse(serializedBytes: bytes)
    #expect(response.unknownFields == unknown)
    #expect(response.patient?.unknownFields == unknown)
    #expect(try response.serializedBytes() == bytes)
  }

  @Test("a known field with another wire type is an unknown field")
  func wrongWireType() throws {
    let wrong = tag(4, 0) + varint(5) + tag(7, 2) + delimited([1]) + tag(20, 5) + [1, 2, 3, 4]
    let patient = try PatientV1.Patient(serializedBytes: wrong)
    #expect(patient.firstName == "")
    #expect(patient.unknownFields == wrong)
  }

  @Test("occurrences of a message field are merged: scalars of the last, the rest joined")
  func merging() throws {
    let first = tag(1, 2) + delimited(Array("id".utf8)) + tag(4, 2) + delimited(Array("Ada".utf8))
    let second = tag(4, 2) + delimited(Array("Grace".utf8)) + tag(5, 2) + delimited(Array("Hopper".utf8))
    let bytes = tag(1, 2) + delimited(first) + tag(1, 2) + delimited(second)
    let patient = try #require(try PatientV1.GetPatientResponse(serializedBytes: bytes).patient)
    #expect([patient.id, patient.firstName, patient.lastName] == ["id", "Grace", "Hopper"])
  }

  @Test("of two map entries with one key the last wins, and an absent key or value is zero")
  func mapEntries() throws {
    func entry(_ content: [UInt8]) -> [UInt8] { tag(3, 2) + delimited(content) }
    let one = tag(1, 2) + delimited([0x6b]) + tag(2, 2) + delimited([0x31])
    let two = tag(2, 2) + delimited([0x32]) + tag(1, 2) + delimited([0x6b])
    let info = try GoogleRPC.ErrorInfo(serializedBytes: entry(one) + entry([]) + entry(two))
    #expect(info.metadata == ["k": "2", "": ""])
  }

  @Test("fields of number 0, wire types 6 and 7, and groups that do not close are refused")
  func malformed() {
    let cases: [[UInt8]] = [
      [0x00, 0x00], [0x02, 0x00], [0x0e], [0x0f], tag(900, 3), tag(900, 4), tag(900, 3) + tag(901, 4),
      [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x0a, 0x80], [0x38] + [UInt8](repeating: 0xff, count: 10) + [1],
    ]
    for bytes in cases {
      #expect(throws: WireMessageError.self, "\(bytes)") { try PatientV1.Patient(serializedBytes: bytes) }
    }
  }

  @Test("groups may be nested a hundred levels and no more")
  func groupDepth() {
    func nested(_ levels: Int) -> [UInt8] {
      repeated(levels, tag(900, 3)) + repeated(levels, tag(900, 4))
    }
    #expect(throws: Never.self) { try PatientV1.Patient(serializedBytes: nested(DecodingLimits.depth)) }
    #expect(throws: WireMessageError.self) { try PatientV1.Patient(serializedBytes: nested(DecodingLimits.depth + 1)) }
    #expect(throws: WireMessageError.self) { try PatientV1.Patient(serializedBytes: nested(100_000)) }
  }

  @Test("a hundred kilobytes of empty elements are refused, not turned into megabytes")
  func amplification() {
    let bytes = repeated(50_000, tag(1, 2) + [0])
    let error = #expect(throws: WireMessageError.self) { try PatientV1.ListPatientsResponse(serializedBytes: bytes) }
    #expect(error?.description.contains("memory") == true)
  }

  @Test("a hundred kilobytes of one message repeated are merged in linear time")
  func repeatedSingular() throws {
    let name = Array("Ada Augusta, Countess of Lovelace".utf8)
    let bytes = repeated(3000, tag(1, 2) + delimited(tag(4, 2) + delimited(name)))
    let response = try PatientV1.GetPatientResponse(serializedBytes: bytes)
    #expect(response.patient?.firstName.utf8.elementsEqual(name) == true)
  }

  @Test("many unknown fields cost no more than their bytes")
  func manyUnknown() throws {
    let bytes = repeated(50_000, tag(15, 5) + [0, 0, 0, 0])
    #expect(try PatientV1.GetPatientResponse(serializedBytes: bytes).unknownFields == bytes)
  }

  @Test("memory is bounded by the message's size, exactly at the limit")
  func budget() throws {
    // Elements that cost more than eight times their bytes: as many as the constant part allows, and one more.
    func list(_ count: Int) -> [UInt8] { repeated(count, tag(1, 2) + [0]) }
    func isAccepted(_ count: Int) -> Bool { (try? PatientV1.ListPatientsResponse(serializedBytes: list(count))) != nil }
    var low = 1
    var high = 50_000
    while high - low > 1 {
      let middle = (low + high) / 2
      if isAccepted(middle) { low = middle } else { high = middle }
    }
    #expect(isAccepted(low))
    #expect(!isAccepted(low + 1))
    #expect((60...200).contains(low), "\(low)")
  }

  @Test("encoding appends to what the buffer holds, and an empty message adds nothing")
  func appending() throws {
    var buffer = ByteBuffer(string: "head")
    try PatientV1.Patient().serialize(into: &buffer)
    #expect(buffer.readableBytes == 4)
    try PatientV1.Patient.with { $0.id = "x" }.serialize(into: &buffer)
    #expect(Array(buffer: buffer) == Array("head".utf8) + [0x0a, 1, 0x78])
  }

  @Test("messages beyond the thread's scratch memory survive both ways")
  func large() throws {
    let list = PatientV1.ListPatientsResponse.with {
      $0.patients = (0..<100).map { number in
        PatientV1.Patient.with {
          $0.id = "patient \(number)"
          $0.firstName = String(repeating: "é", count: 1000)
          $0.createdAt = GoogleProtobuf.Timestamp(seconds: Int64(number), nanos: 5)
        }
      }
    }
    #expect(try PatientV1.ListPatientsResponse(serializedBytes: try list.serializedBytes()) == list)
  }
}

private func repeated(_ count: Int, _ bytes: [UInt8]) -> [UInt8] {
  Array(repeatElement(bytes, count: count).joined())
}
