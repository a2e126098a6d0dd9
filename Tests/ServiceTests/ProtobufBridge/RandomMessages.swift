internal import TestSupport

@testable internal import generate_contract

/// Makes serialized messages at random from their descriptors, without any of the code under test.
struct RandomMessages {
  /// What a message may hold beside the ordinary.
  enum Style: CaseIterable {
    /// Fields in order, each once, nothing unknown.
    case tidy
    /// Fields in any order, unknown fields and groups, known fields with other wire types.
    case strange
    /// The same, and singular fields more than once.
    case messy
  }

  let schema: Schema
  let style: Style
  var random: SeededGenerator

  mutating func message(_ name: String, depth: Int = 0) -> [UInt8] {
    guard let type = schema.messages[name] else { return [] }
    var fields: [[UInt8]] = []
    var usedOneofs: Set<Int> = []
    for field in type.fields where random.chance(depth > 4 ? 20 : 75) {
      if style != .messy, let oneof = field.realOneofIndex, !usedOneofs.insert(oneof).inserted { continue }
      fields.append(contentsOf: occurrences(of: field, depth: depth))
    }
    if style != .tidy, !type.isMapEntry {
      for _ in 0..<Int.random(in: 0...3, using: &random) { fields.append(unknownField(of: type)) }
      fields.shuffle(using: &random)
    }
    return Array(fields.joined())
  }

  private mutating func occurrences(of field: Field, depth: Int) -> [[UInt8]] {
    if let entry = schema.messages[field.typeName], entry.isMapEntry {
      return mapEntries(of: field, entry, depth: depth)
    }
    if field.isRepeated {
      let count = Int.random(in: 0...3, using: &random)
      guard field.kind.isPackable else {
        return (0..<count).map { _ in tagged(field, value(of: field, depth: depth)) }
      }
      guard style != .tidy, random.chance(50) else {
        guard count > 0 else { return [] }
        let content = (0..<count).flatMap { _ in value(of: field, depth: depth) }
        return [tag(field.number, 2) + varint(UInt64(content.count)) + content]
      }
      return (0..<count).map { _ in tagged(field, value(of: field, depth: depth)) }
    }
    let count = style == .messy && random.chance(30) ? Int.random(in: 2...3, using: &random) : 1
    return (0..<count).map { _ in
      if style != .tidy, random.chance(5) { return wrongWireType(of: field) }
      return tagged(field, value(of: field, depth: depth))
    }
  }

  /// Keys differ: what two entries with one key mean is tested by itself, protoc's dynamic messages keep both.
  private mutating func mapEntries(of field: Field, _ entry: MessageType, depth: Int) -> [[UInt8]] {
    (0..<Int.random(in: 0...3, using: &random)).map { index in
      var content: [UInt8] = []
      for part in entry.fields {
        if part.number == 1, part.kind == .string {
          let key = Array("key \(index) \(randomText())".utf8)
          content += tag(1, 2) + varint(UInt64(key.count)) + key
        } else {
          content += tagged(part, value(of: part, depth: depth))
        }
      }
      return tag(field.number, 2) + varint(UInt64(content.count)) + content
    }
  }

  private mutating func tagged(_ field: Field, _ value: [UInt8]) -> [UInt8] {
    tag(field.number, field.kind.wireType) + value
  }

  private mutating func value(of field: Field, depth: Int) -> [UInt8] {
    switch field.kind {
    case .string: return delimited(Array(randomText().utf8))
    case .bytes:
      let count = Int.random(in: 0...20, using: &random)
      return delimited((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
    case .message, .group: return delimited(message(field.typeName, depth: depth + 1))
    case .enum:
      let known = schema.enums[field.typeName]?.values.map(\.number) ?? []
      let unknown = Int32.random(in: -3...900, using: &random)
      let number = random.chance(80) ? known.randomElement(using: &random) ?? 0 : unknown
      return varint(UInt64(bitPattern: Int64(number)))
    case .bool: return varint(random.chance(50) ? 1 : 0)
    case .int32, .uint32, .sint32:
      let number = [0, 1, -1, .max, .min, Int32.random(in: .min ... .max, using: &random)].randomElement(using: &random)
      guard field.kind == .int32 else { return varint(UInt64(UInt32(bitPattern: number ?? 0))) }
      return varint(UInt64(bitPattern: Int64(number ?? 0)))
    case .int64, .uint64, .sint64: return varint(edge())
    case .fixed64, .sfixed64: return littleEndian(edge(), 8)
    case .fixed32, .sfixed32: return littleEndian(edge(), 4)
    // Text has one NaN only.
    case .double:
      let number = Double(bitPattern: edge())
      return littleEndian((number.isNaN ? -0.0 : number).bitPattern, 8)
    case .float:
      let number = Float(bitPattern: UInt32(truncatingIfNeeded: edge()))
      return littleEndian(UInt64((number.isNaN ? -0.0 : number).bitPattern), 4)
    }
  }

  private mutating func edge() -> UInt64 {
    [0, 1, 127, 128, .max, 1 << 63, UInt64.random(in: 0 ... .max, using: &random)].randomElement(using: &random) ?? 0
  }

  private mutating func wrongWireType(of field: Field) -> [UInt8] {
    // Length-delimited means packed for a repeated number, so that wire type is never wrong enough.
    let wrong = [0, 1, 5].filter { $0 != field.kind.wireType }.randomElement(using: &random) ?? 0
    return tag(field.number, wrong) + bare(wireType: wrong, depth: 0)
  }

  private mutating func unknownField(of type: MessageType) -> [UInt8] {
    let known = Set(type.fields.map(\.number))
    var number = Int.random(in: 1...4000, using: &random)
    while known.contains(number) { number += 1 }
    let wireType = [0, 1, 2, 3, 5].randomElement(using: &random) ?? 0
    return tag(number, wireType) + bare(wireType: wireType, depth: 0) + (wireType == 3 ? tag(number, 4) : [])
  }

  /// A value without its tag; of a group, what is in it.
  private mutating func bare(wireType: Int, depth: Int) -> [UInt8] {
    switch wireType {
    case 0: return varint(edge())
    case 1: return littleEndian(edge(), 8)
    case 2: return delimited(Array("unknown \(randomText())".utf8))
    case 3:
      guard depth < 5, random.chance(60) else { return [] }
      let inner = Int.random(in: 1...100, using: &random)
      return tag(inner, 3) + bare(wireType: 3, depth: depth + 1) + tag(inner, 4) + tag(7, 0) + varint(edge())
    default: return littleEndian(edge(), 4)
    }
  }

  private mutating func randomText() -> String {
    let alphabet = ["a", "Z", "0", " ", "\0", "é", "ß", "日", "👩‍⚕️", "\u{301}", "\n", "\"", "\\"]
    let count = Int.random(in: 0...18, using: &random)
    return (0..<count).map { _ in alphabet.randomElement(using: &random) ?? "" }.joined()
  }
}

extension Field.Kind {
  var wireType: Int {
    switch self {
    case .string, .bytes, .message: 2
    case .double, .fixed64, .sfixed64: 1
    case .float, .fixed32, .sfixed32: 5
    case .group: 3
    default: 0
    }
  }

  var isPackable: Bool { wireType != 2 && wireType != 3 }
}

func tag(_ number: Int, _ wireType: Int) -> [UInt8] { varint(UInt64(number) << 3 | UInt64(wireType)) }

func varint(_ value: UInt64) -> [UInt8] {
  var value = value
  var bytes: [UInt8] = []
  while value >= 0x80 {
    bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
    value >>= 7
  }
  return bytes + [UInt8(value)]
}

func delimited(_ content: [UInt8]) -> [UInt8] { varint(UInt64(content.count)) + content }

func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
}
