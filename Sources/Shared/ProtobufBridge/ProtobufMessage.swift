package import CProtobuf
package import NIOCore
package import RPC

/// A message of the contract as a Swift value. Generated types conform.
///
/// The C structs of protoc-c live only inside the two conversions, in an arena of the call.
package protocol ProtobufMessage: WireMessage, Hashable {
  init()

  /// The full name, such as `clinicavoice.patient.v1.Patient`.
  static var protoName: String { get }

  /// Fields that the contract does not name, serialized, in the order in which they came; written after all others.
  var unknownFields: [UInt8] { get set }

  static var layout: MessageLayout { get }

  /// Reads the C struct of this type at `raw`.
  init(decoding raw: UnsafeRawPointer, _ decoder: inout MessageDecoder)

  /// Fills the zeroed C struct of this type at `raw`.
  func encode(into raw: UnsafeMutableRawPointer, _ encoder: inout MessageEncoder)
}

/// What libprotobuf-c knows of a message type.
@safe
package struct MessageLayout {
  let descriptor: UnsafePointer<ProtobufCMessageDescriptor>

  package init(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) { unsafe self.descriptor = descriptor }

  /// Bytes of one C struct.
  package var size: Int { unsafe descriptor.pointee.sizeof_message }
}

extension ProtobufMessage {
  /// A message whose fields `populate` sets.
  package static func with<Failure: Error>(
    _ populate: (inout Self) throws(Failure) -> Void
  ) throws(Failure) -> Self {
    var message = Self()
    try populate(&message)
    return message
  }

  /// Decodes one whole message.
  ///
  /// - Throws: when the bytes are not such a message, a string is not UTF-8, or decoding would take more memory than
  ///   ``DecodingLimits`` allow for a message of this size.
  package init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError) {
    self = try unsafe MessageCodec.decode(Self.self, bytes)
  }

  /// Appends the serialized message. Fields are in the order of their numbers, maps in the order of their keys.
  ///
  /// - Throws: when the message would exceed 2 GiB.
  package func serialize(into buffer: inout ByteBuffer) throws(WireMessageError) {
    try MessageCodec.encode(self, into: &buffer)
  }

  /// Decodes one whole message.
  package init(serializedBytes bytes: [UInt8]) throws(WireMessageError) {
    let result: Result<Self, WireMessageError> = unsafe bytes.withUnsafeBytes { bytes in
      do throws(WireMessageError) {
        return .success(try unsafe Self(serialized: bytes))
      } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }

  /// The serialized message as an array.
  package func serializedBytes() throws(WireMessageError) -> [UInt8] {
    Array(buffer: try serialized())
  }
}
