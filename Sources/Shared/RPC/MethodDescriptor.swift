package import NIOCore

/// A value that travels as one gRPC message.
///
/// Generated types conform; the RPC runtime knows no codec beyond this.
package protocol WireMessage: Sendable {
  /// Decodes one whole message.
  ///
  /// - Throws: ``WireMessageError`` when the bytes are not such a message, or break a limit of the decoder.
  init(serialized bytes: UnsafeRawBufferPointer) throws(WireMessageError)

  /// Appends the serialized message to `buffer`.
  ///
  /// - Throws: ``WireMessageError`` when the value cannot be encoded (for example it exceeds 2 GiB).
  func serialize(into buffer: inout ByteBuffer) throws(WireMessageError)
}

/// Why a message could not be decoded or encoded. The text names the rule and the message type, never a field's value.
package struct WireMessageError: Error, Sendable, Hashable {
  package var description: String

  package init(_ description: String) { self.description = description }
}

extension WireMessage {
  /// Decodes one whole message.
  package init(serialized buffer: ByteBuffer) throws(WireMessageError) {
    do {
      self = try buffer.withUnsafeReadableBytes { bytes in try Self(serialized: bytes) }
    } catch let error as WireMessageError {
      throw error
    } catch {
      // The closure throws nothing else; the buffer's method only does not say so.
      throw WireMessageError("\(error)")
    }
  }

  /// The serialized message on its own.
  package func serialized() throws(WireMessageError) -> ByteBuffer {
    var buffer = ByteBuffer()
    try serialize(into: &buffer)
    return buffer
  }
}

package enum MethodKind: Sendable, Hashable {
  case unary, clientStreaming, serverStreaming, bidirectionalStreaming
}

/// One method of a service, as the contract declares it.
package struct MethodDescriptor<Input: WireMessage, Output: WireMessage>: Sendable {
  /// Full name of the service: `package.Service`.
  package let service: String
  package let name: String
  package let kind: MethodKind
  /// `/package.Service/Method`, the `:path` of a call.
  package let path: String

  package init(service: String, name: String, kind: MethodKind) {
    self.service = service
    self.name = name
    self.kind = kind
    self.path = "/\(service)/\(name)"
  }
}

/// One service, as the contract declares it: what health, reflection and routing need to know.
package struct ServiceDescriptor: Sendable, Hashable {
  /// Full name: `package.Service`.
  package let name: String
  /// The proto file that declares it, such as `clinicavoice/patient/v1/patient_service.proto`.
  package let file: String
  package let methods: [String]

  package init(name: String, file: String, methods: [String]) {
    self.name = name
    self.file = file
    self.methods = methods
  }
}
