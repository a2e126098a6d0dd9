/// The rules of one zone as its TZif file holds them.
///
/// Source: RFC 9636 (TZif versions 1–4). Everything in the file is checked before it is believed.
struct TZif: Sendable, Hashable {
  /// UTC seconds at which `offsets[offsetOfTransition[i]]` begins to hold; strictly ascending.
  var transitions: [Int64] = []
  var typeOfTransition: [UInt8] = []
  /// Seconds east of UTC of each local time type; the first one holds before all transitions.
  var offsets: [Int32] = []
  /// What holds from the last transition on; `nil` when the file says nothing about it.
  var footer: PosixTimeZone?

  struct FormatError: Error, Hashable {
    var rule: String
    init(_ rule: String) { self.rule = rule }
  }

  init(_ bytes: [UInt8]) throws(FormatError) {
    var reader = Reader(bytes: bytes)
    let first = try Header(&reader)
    if first.version == 0 {
      try readData(first, timeSize: 4, &reader)
      return
    }
    try reader.skip(first.dataSize(timeSize: 4))
    let second = try Header(&reader)
    guard second.version == first.version else { throw FormatError("the two headers differ in version") }
    try readData(second, timeSize: 8, &reader)
    footer = try reader.footer()
  }
}

extension TZif {
  /// Seconds east of UTC that any zone may have: RFC 9636 section 3.2 allows from -25:59:59 to +26:00:00 of what
  /// readers must bear.
  static let offsetRange: ClosedRange<Int32> = -93_599...93_600

  private struct Header {
    var version: UInt8
    var isUTCount, isStandardCount, leapCount, timeCount, typeCount, characterCount: Int

    init(_ reader: inout Reader) throws(FormatError) {
      guard try reader.take(4).elementsEqual("TZif".utf8) else { throw FormatError("no TZif header") }
      let mark = try reader.integer(1)
      switch mark {
      case 0: version = 0
      case 0x32...0x39: version = UInt8(mark - 0x30)
      default: throw FormatError("unknown version")
      }
      try reader.skip(15)
      isUTCount = try reader.count()
      isStandardCount = try reader.count()
      leapCount = try reader.count()
      timeCount = try reader.count()
      typeCount = try reader.count()
      characterCount = try reader.count()
    }

    func dataSize(timeSize: Int) -> Int {
      timeCount * (timeSize + 1) + typeCount * 6 + characterCount + leapCount * (timeSize + 4) + isStandardCount
        + isUTCount
    }
  }

  private mutating func readData(
    _ header: Header, timeSize: Int, _ reader: inout Reader
  ) throws(FormatError) {
    guard header.leapCount == 0 else { throw FormatError("leap seconds are not counted here") }
    guard (1...256).contains(header.typeCount) else { throw FormatError("no local time type") }
    guard header.dataSize(timeSize: timeSize) <= reader.remaining else { throw FormatError("the file is cut off") }
    transitions.reserveCapacity(header.timeCount)
    for _ in 0..<header.timeCount {
      let time = try reader.integer(timeSize)
      if let last = transitions.last, last >= time { throw FormatError("transitions are not in order") }
      transitions.append(time)
    }
    typeOfTransition = Array(try reader.take(header.timeCount))
    guard typeOfTransition.allSatisfy({ Int($0) < header.typeCount }) else {
      throw FormatError("a transition to an unknown local time type")
    }
    for _ in 0..<header.typeCount {
      let offset = try reader.integer(4)
      guard let offset = Int32(exactly: offset), Self.offsetRange.contains(offset) else {
        throw FormatError("an offset out of range")
      }
      offsets.append(offset)
      try reader.skip(2)
    }
    try reader.skip(header.characterCount + header.isStandardCount + header.isUTCount)
  }

  /// A cursor that never leaves the bytes.
  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }

    mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
      guard count <= remaining else { throw FormatError("the file is cut off") }
      defer { position += count }
      return bytes[position..<position + count]
    }

    mutating func skip(_ count: Int) throws(FormatError) { _ = try take(count) }

    /// A big-endian two's complement number.
    mutating func integer(_ size: Int) throws(FormatError) -> Int64 {
      let slice = try take(size)
      var value: UInt64 = size > 1 && (slice.first ?? 0) >= 0x80 ? .max : 0
      for byte in slice { value = value << 8 | UInt64(byte) }
      return Int64(bitPattern: value)
    }

    /// A count of records, each of which takes at least one byte of the file.
    mutating func count() throws(FormatError) -> Int {
      let value = try integer(4)
      guard value >= 0, value <= bytes.count else { throw FormatError("a count beyond the file") }
      return Int(value)
    }

    mutating func footer() throws(FormatError) -> PosixTimeZone? {
      guard try integer(1) == 0x0A else { throw FormatError("no footer") }
      guard let end = bytes[position...].firstIndex(of: 0x0A) else { throw FormatError("the footer has no end") }
      let text = bytes[position..<end]
      if text.isEmpty { return nil }
      guard let rule = PosixTimeZone(Array(text)) else { throw FormatError("an unreadable footer") }
      return rule
    }
  }
}
