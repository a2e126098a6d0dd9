/// The header fields that gRPC gives a meaning to; everything else is ``other``.
package enum HeaderName: UInt8, Sendable, Hashable {
  case method, scheme, path, authority, status
  case te, host
  case contentType, userAgent
  case grpcTimeout, grpcEncoding, grpcAcceptEncoding, grpcStatus, grpcMessage, grpcStatusDetails
  case other

  /// Which well-known name these bytes spell. Names are lower-case in HTTP/2, so the comparison is exact.
  package init(_ name: UnsafeBufferPointer<UInt8>) {
    self = .other
    func matches(_ text: StaticString) -> Bool {
      text.utf8CodeUnitCount == name.count
        && UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).elementsEqual(name)
    }
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
    fileprivate let end: Int32
  }

  package private(set) var fields: [Field] = []
  package private(set) var bytes: [UInt8] = []
  /// Set when the peer's block was larger than the limit; the fields beyond it are not kept (W16).
  package var isOverLimit = false

  package init() {}

  package var isEmpty: Bool { fields.isEmpty }

  /// Σ(name + value + 32), the size that limits speak of (RFC 9113 6.5.2).
  package var listSize: Int { bytes.count + 32 * fields.count }

  package mutating func removeAll() {
    fields.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    isOverLimit = false
  }

  package mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
    let start = Int32(bytes.count)
    bytes.append(contentsOf: name)
    bytes.append(contentsOf: value)
    fields.append(
      Field(
        token: HeaderName(name), start: start, nameEnd: start + Int32(name.count), end: Int32(bytes.count)))
  }

  package mutating func append(_ name: String, _ value: some Sequence<UInt8>) {
    let start = Int32(bytes.count)
    bytes.append(contentsOf: name.utf8)
    let nameEnd = Int32(bytes.count)
    bytes.append(contentsOf: value)
    let token = bytes[Int(start)..<Int(nameEnd)].withUnsafeBufferPointer { HeaderName($0) }
    fields.append(Field(token: token, start: start, nameEnd: nameEnd, end: Int32(bytes.count)))
  }

  package mutating func append(_ name: String, _ value: String) { append(name, value.utf8) }

  package func nameRange(of field: Field) -> Range<Int> { Int(field.start)..<Int(field.nameEnd) }
  package func valueRange(of field: Field) -> Range<Int> { Int(field.nameEnd)..<Int(field.end) }

  package func nameBytes(of field: Field) -> ArraySlice<UInt8> { bytes[nameRange(of: field)] }

  /// The value without leading and trailing spaces, which gRPC peers may send (W13).
  package func valueBytes(of field: Field) -> ArraySlice<UInt8> {
    var slice = bytes[valueRange(of: field)]
    while let first = slice.first, first == 0x20 || first == 0x09 { slice.removeFirst() }
    while let last = slice.last, last == 0x20 || last == 0x09 { slice.removeLast() }
    return slice
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
    lhs.bytes == rhs.bytes
      && lhs.fields.elementsEqual(rhs.fields) { $0.nameEnd == $1.nameEnd && $0.end == $1.end }
  }
}
