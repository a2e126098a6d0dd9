package import CProtobuf

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Turns the C structs of one message into Swift values. Generated code calls it.
///
/// A failure is kept rather than thrown, so that generated code stays a straight line; the caller asks at the end.
package struct MessageDecoder {
  /// The first string that is not UTF-8: its path from the root, such as `patients[2].last_name`.
  package private(set) var invalidPath: String?

  init() {}

  package mutating func string(_ data: ProtobufCBinaryData, _ field: StaticString) -> String {
    guard unsafe data.len > 0 else { return "" }
    let bytes = unsafe UnsafeBufferPointer(start: data.data, count: data.len)
    // Decoding repairs what is ill-formed, so a string with the same bytes was well-formed. This is several times faster
    // than `String(validating:as:)`, which the standard library does not specialize.
    let string = unsafe String(decoding: bytes, as: UTF8.self)
    if unsafe string.hasBytes(bytes) { return string }
    if invalidPath == nil { invalidPath = "\(field)" }
    return ""
  }

  package mutating func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    unsafe data.len > 0 ? Array(UnsafeBufferPointer(start: data.data, count: data.len)) : []
  }

  package mutating func message<Message: ProtobufMessage>(
    _ type: Message.Type, _ raw: UnsafeMutableRawPointer?, _ field: StaticString
  ) -> Message {
    guard let raw = unsafe raw else { return Message() }
    let wasValid = invalidPath == nil
    let message = unsafe Message(decoding: UnsafeRawPointer(raw), &self)
    if wasValid, let path = invalidPath { invalidPath = "\(field).\(path)" }
    return message
  }

  package mutating func optional<Message: ProtobufMessage>(
    _ type: Message.Type, _ raw: UnsafeMutableRawPointer?, _ field: StaticString
  ) -> Message? {
    guard let raw = unsafe raw else { return nil }
    return unsafe message(type, raw, field)
  }

  /// Everything that was unknown in this message, serialized.
  package mutating func unknownFields(of base: ProtobufCMessage) -> [UInt8] {
    guard unsafe base.n_unknown_fields > 0 else { return [] }
    return unsafe UnknownFields.collect(from: base)
  }
}

// MARK: - Repeated fields

extension MessageDecoder {
  package mutating func strings(
    _ start: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int, _ field: StaticString
  ) -> [String] {
    guard count > 0, let start = unsafe start else { return [] }
    var result: [String] = []
    result.reserveCapacity(count)
    for index in 0..<count {
      let wasValid = invalidPath == nil
      result.append(unsafe string(start[index], field))
      if wasValid, let path = invalidPath { invalidPath = "\(path)[\(index)]" }
    }
    return result
  }

  package mutating func byteStrings(_ start: UnsafeMutablePointer<ProtobufCBinaryData>?, count: Int) -> [[UInt8]] {
    guard count > 0, let start = unsafe start else { return [] }
    return (0..<count).map { unsafe bytes(start[$0]) }
  }

  package mutating func messages<Message: ProtobufMessage, CType>(
    _ type: Message.Type, _ table: UnsafeMutablePointer<UnsafeMutablePointer<CType>?>?, count: Int,
    _ field: StaticString
  ) -> [Message] {
    guard count > 0, let table = unsafe table else { return [] }
    var result: [Message] = []
    result.reserveCapacity(count)
    for index in 0..<count {
      guard let raw = unsafe table[index] else { continue }
      let wasValid = invalidPath == nil
      result.append(unsafe Message(decoding: UnsafeRawPointer(raw), &self))
      if wasValid, let path = invalidPath { invalidPath = "\(field)[\(index)].\(path)" }
    }
    return result
  }

  package func scalars<Value: FixedWidthInteger>(_ start: UnsafeMutablePointer<Value>?, count: Int) -> [Value] {
    count > 0 ? unsafe Array(UnsafeBufferPointer(start: start, count: count)) : []
  }

  package func bools(_ start: UnsafeMutablePointer<protobuf_c_boolean>?, count: Int) -> [Bool] {
    unsafe scalars(start, count: count).map { $0 != 0 }
  }

  package func floats(_ start: UnsafeMutablePointer<UInt32>?, count: Int) -> [Float] {
    unsafe scalars(start, count: count).map(Float.init(bitPattern:))
  }

  package func doubles(_ start: UnsafeMutablePointer<UInt64>?, count: Int) -> [Double] {
    unsafe scalars(start, count: count).map(Double.init(bitPattern:))
  }

  package func enums<Value: ProtobufEnum>(
    _ type: Value.Type, _ start: UnsafeMutablePointer<Int32>?, count: Int
  ) -> [Value] {
    unsafe scalars(start, count: count).map(Value.init(rawValue:))
  }
}

extension String {
  fileprivate func hasBytes(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard utf8.count == bytes.count else { return false }
    let isSame: Bool? = unsafe utf8.withContiguousStorageIfAvailable { own in
      guard let own = own.baseAddress, let other = bytes.baseAddress else { return bytes.isEmpty }
      return unsafe memcmp(own, other, bytes.count) == 0
    }
    return unsafe isSame ?? utf8.elementsEqual(bytes)
  }
}
