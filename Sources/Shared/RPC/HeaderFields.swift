/// The header fields that gRPC gives a meaning to; everything else is ``other``.
package enum HeaderName: UInt8, Sendable, Hashable {
  case method, scheme, path, authority, status
  case te, host
  case contentType, contentLength, userAgent
  case grpcTimeout, grpcEncoding, grpcAcceptEncoding, grpcStatus, grpcMessage, grpcStatusDetails
  case other

  /// Whether a field of this name is the application's: metadata.
  var isCustom: Bool { self == .other || self == .userAgent }

  /// Which well-known name these bytes spell. Names are lower-case in HTTP/2, so the comparison is exact.
  package init(_ name: UnsafeBufferPointer<UInt8>) {
    self = .other
    func matches(_ text: StaticString) -> Bool { name.isEqual(to: text) }
    switch name.count {
    case 2 where matches("te"): self = .te
    case 4 where matches("host"): self = .host
    case 5 where matches(":path"): self = .path
    case 7 where matches(":method"): self = .method
    case 7 where matches(":scheme"): self = .scheme
    case 7 where matches(":status"): self = .status
    case 10 where matches(":authority"): self = .authority
    case 10 where matches("user-agent"): self = .userAgent
    case 11 where matches("grpc-status"): self = .grpcStatus
    case 12 where matches("content-type"): self = .contentType
    case 12 where matches("grpc-timeout"): self = .grpcTimeout
    case 12 where matches("grpc-message"): self = .grpcMessage
    case 13 where matches("grpc-encoding"): self = .grpcEncoding
    case 14 where matches("content-length"): self = .contentLength
    case 20 where matches("grpc-accept-encoding"): self = .grpcAcceptEncoding
    case 23 where matches("grpc-status-details-bin"): self = .grpcStatusDetails
    default: break
    }
  }
}

/// One header block, decoded: names and values in order, as bytes in one buffer.
///
/// Reused from call to call (``removeAll()`` keeps the storage), so that reading a request allocates nothing.
package struct HeaderFields: Sendable {
  /// One field; its bytes are in the block it came from.
  package struct Field: Sendable {
    package let token: HeaderName
    fileprivate let start: Int32
    fileprivate let nameEnd: Int32
    /// Without the spaces around the value, which gRPC peers may send (W13).
    fileprivate let valueStart: Int32
    fileprivate let valueEnd: Int32
  }

  package private(set) var fields: [Field] = []
  package private(set) var bytes: [UInt8] = []
  /// Set when the peer's block was larger than the limit; the fields beyond it are not kept (W16).
  package var isOverLimit = false

  package init() {}

  /// With room for an ordinary block, so that filling it does not allocate step by step.
  package init(reservingFields fields: Int, bytes: Int) {
    self.fields.reserveCapacity(fields)
    self.bytes.reserveCapacity(bytes)
  }

  package var isEmpty: Bool { fields.isEmpty }

  /// Σ(name + value + 32), the size that limits speak of (RFC 9113 6.5.2).
  package var listSize: Int { bytes.count + 32 * fields.count }

  package mutating func removeAll() {
    fields.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    isOverLimit = false
  }

  package mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
    var valueStart = 0
    var valueEnd = value.count
    while valueStart < valueEnd, Self.isSpace(value[valueStart]) { valueStart += 1 }
    while valueEnd > valueStart, Self.isSpace(value[valueEnd - 1]) { valueEnd -= 1 }
    let start = bytes.count
    let nameEnd = start + name.count
    bytes.append(contentsOf: name)
    bytes.append(contentsOf: value)
    fields.append(
      Field(
        token: HeaderName(name), start: Int32(truncatingIfNeeded: start), nameEnd: Int32(truncatingIfNeeded: nameEnd),
        valueStart: Int32(truncatingIfNeeded: nameEnd + valueStart),
        valueEnd: Int32(truncatingIfNeeded: nameEnd + valueEnd)))
  }

  package mutating func append(_ name: String, _ value: some Collection<UInt8>) {
    let (name, value) = (ContiguousArray(name.utf8), ContiguousArray(value))
    name.withUnsafeBufferPointer { name in value.withUnsafeBufferPointer { append(name: name, value: $0) } }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  package mutating func append(_ name: String, _ value: String) { append(name, value.utf8) }

  package func nameRange(of field: Field) -> Range<Int> { Int(field.start)..<Int(field.nameEnd) }
  /// Without the spaces around it.
  package func valueRange(of field: Field) -> Range<Int> { Int(field.valueStart)..<Int(field.valueEnd) }

  package func nameBytes(of field: Field) -> ArraySlice<UInt8> { bytes[nameRange(of: field)] }
  package func valueBytes(of field: Field) -> ArraySlice<UInt8> { bytes[valueRange(of: field)] }

  /// Calls `body` with the value in place, for what must not cost a copy.
  package func withValue<Result>(of field: Field, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[valueRange(of: field)])) }
  }

  package func value(of field: Field, is text: StaticString) -> Bool {
    withValue(of: field) { $0.isEqual(to: text) }
  }

  /// Whether a name begins and ends so; an empty text fits every name.
  func name(of field: Field, hasPrefix prefix: StaticString = "", hasSuffix suffix: StaticString = "") -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
      let name = bytes[nameRange(of: field)]
      return UnsafeBufferPointer(rebasing: name.prefix(prefix.utf8CodeUnitCount)).isEqual(to: prefix)
        && UnsafeBufferPointer(rebasing: name.suffix(suffix.utf8CodeUnitCount)).isEqual(to: suffix)
    }
  }

  package func name(of field: Field) -> String { String(decoding: nameBytes(of: field), as: UTF8.self) }
  package func value(of field: Field) -> String { String(decoding: valueBytes(of: field), as: UTF8.self) }

  /// The first field of a well-known name.
  package func first(_ token: HeaderName) -> Field? { fields.first { $0.token == token } }

  /// The value of the first field of a well-known name.
  package func value(_ token: HeaderName) -> String? { first(token).map { value(of: $0) } }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, String)...) {
    self.init()
    for (name, value) in elements { append(name, value) }
  }
}

extension HeaderFields: Equatable {
  /// The same names and values in the same order.
  package static func == (lhs: HeaderFields, rhs: HeaderFields) -> Bool {
    lhs.fields.count == rhs.fields.count
      && zip(lhs.fields, rhs.fields).allSatisfy { left, right in
        lhs.nameBytes(of: left) == rhs.nameBytes(of: right) && lhs.valueBytes(of: left) == rhs.valueBytes(of: right)
      }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Byte for byte. Written out, because this runs several times per call.
  package func isEqual(to text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    let other = text.utf8Start
    var index = 0
    while index < count {
      if self[index] != other[index] { return false }
      index += 1
    }
    return true
  }
}
