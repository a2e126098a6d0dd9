/// What makes bytes not a message.
enum WireProblem: Error {
  case truncated
  case malformedVarint
  case illegalTag
  case illegalLength
  case unbalancedGroup
  case nestedTooDeeply
  case tooMuchMemory
  case refused
  case invalidUTF8(path: String)

  var description: String {
    switch self {
    case .truncated: "the bytes end within a field"
    case .malformedVarint: "a varint is longer than ten bytes"
    case .illegalTag: "a tag has field number 0 or an unknown wire type"
    case .illegalLength: "a length is not a multiple of the field's width, or too large"
    case .unbalancedGroup: "a group does not end where it should"
    case .nestedTooDeeply: "fields are nested more than \(DecodingLimits.depth) levels deep"
    case .tooMuchMemory: "decoding would take too much memory for a message of this size"
    case .refused: "a packed field is malformed"
    case .invalidUTF8(let path): "\(path) is not valid UTF-8"
    }
  }
}

enum WireType {
  static let varint: UInt32 = 0
  static let fixed64: UInt32 = 1
  static let lengthDelimited: UInt32 = 2
  static let startGroup: UInt32 = 3
  static let endGroup: UInt32 = 4
  static let fixed32: UInt32 = 5
}

/// Reads serialized fields, in order. Source: protobuf "Encoding".
@unsafe
struct WireCursor {
  private(set) var position: UnsafePointer<UInt8>
  let end: UnsafePointer<UInt8>

  init(_ start: UnsafePointer<UInt8>, count: Int) {
    unsafe position = start
    unsafe end = start + count
  }

  var isAtEnd: Bool { unsafe position >= end }
  var remaining: Int { unsafe end - position }

  /// The tag: field number and wire type. At most five bytes, as in other implementations.
  @inline(__always)
  mutating func tag() throws(WireProblem) -> (number: UInt32, wireType: UInt32) {
    let first = unsafe position.pointee
    if first < 0x80 {
      unsafe position += 1
      guard first >= 8 else { throw .illegalTag }
      return (UInt32(first >> 3), UInt32(first & 7))
    }
    let raw = unsafe try varint(maxLength: 5)
    guard raw >= 8, raw <= UInt32.max else { throw .illegalTag }
    return (UInt32(truncatingIfNeeded: raw >> 3), UInt32(truncatingIfNeeded: raw & 7))
  }

  /// The length of a length-delimited field, which is known to be there.
  @inline(__always)
  mutating func length() throws(WireProblem) -> Int {
    guard unsafe position < end else { throw .truncated }
    let first = unsafe position.pointee
    let length: Int
    if first < 0x80 {
      unsafe position += 1
      length = Int(first)
    } else {
      let raw = unsafe try varint(maxLength: 5)
      guard raw <= Int32.max else { throw .illegalLength }
      length = Int(raw)
    }
    guard unsafe length <= end - position else { throw .truncated }
    return length
  }

  @inline(__always)
  mutating func skipVarint() throws(WireProblem) {
    if unsafe position < end, unsafe position.pointee < 0x80 {
      unsafe position += 1
    } else {
      _ = unsafe try varint(maxLength: 10)
    }
  }

  @inline(__always)
  mutating func skip(_ count: Int) throws(WireProblem) {
    guard unsafe count <= end - position else { throw .truncated }
    unsafe position += count
  }

  /// Skips the value of a field whose tag has been read, a whole group included.
  ///
  /// - Parameter depth: how many messages and groups the field is in already.
  mutating func skipValue(number: UInt32, wireType: UInt32, depth: Int) throws(WireProblem) {
    switch wireType {
    case WireType.varint: unsafe try skipVarint()
    case WireType.fixed64: unsafe try skip(8)
    case WireType.lengthDelimited:
      let length = unsafe try length()
      unsafe try skip(length)
    case WireType.fixed32: unsafe try skip(4)
    case WireType.startGroup: unsafe try skipGroup(number: number, depth: depth)
    case WireType.endGroup: throw .unbalancedGroup
    default: throw .illegalTag
    }
  }

  private mutating func skipGroup(number: UInt32, depth: Int) throws(WireProblem) {
    // A loop rather than recursion: the depth is the peer's choice.
    var open = [number]
    while let innermost = open.last {
      guard depth + open.count <= DecodingLimits.depth else { throw .nestedTooDeeply }
      guard unsafe !isAtEnd else { throw .truncated }
      let tag = unsafe try tag()
      switch tag.wireType {
      case WireType.startGroup: open.append(tag.number)
      case WireType.endGroup:
        guard tag.number == innermost else { throw .unbalancedGroup }
        open.removeLast()
      default: unsafe try skipValue(number: tag.number, wireType: tag.wireType, depth: depth)
      }
    }
  }

  private mutating func varint(maxLength: Int) throws(WireProblem) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    for _ in 0..<maxLength {
      guard unsafe position < end else { throw .truncated }
      let byte = unsafe position.pointee
      unsafe position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw .malformedVarint
  }
}
