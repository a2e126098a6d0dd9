internal import NIOCore
internal import RPC

/// Which encodings the messages of one call have. Source: WIRE W18–W21.
extension ServerCall {
  struct Compression {
    let accepted: AcceptedEncodings
    /// The request names an encoding: its messages may be compressed.
    let isRequestEncoded: Bool
    /// Of the response; `nil` until its first message decides.
    var response: MessageEncoding?
    /// What the handler was told of its last message.
    var wasTold = false

    init(_ request: ServerCallState.Request) {
      accepted = request.acceptedEncodings
      isRequestEncoded = request.encoding != .identity
    }
  }

  /// What the response is compressed with, decided once: what the handler or the server wants, if the caller reads it.
  func responseEncoding() -> MessageEncoding {
    if let decided = compression.response { return decided }
    let encoding = compression.accepted.hasOnlyIdentity ? .identity : wantedEncoding()
    compression.response = encoding
    return encoding
  }

  private func wantedEncoding() -> MessageEncoding {
    let wanted = context.responseCompression.encoding ?? limits.responseEncoding
    return compression.accepted.contains(wanted) ? wanted : .identity
  }

  /// Appends `message`, compressed if that was agreed on and is worth it.
  func frame(_ message: ByteBuffer, mayCompress: Bool = true, into buffer: inout ByteBuffer) {
    let encoding = responseEncoding()
    let isWorthIt = message.readableBytes >= limits.minCompressedLength
    guard mayCompress, isWorthIt, encoding != .identity, context.responseCompression.isOn else {
      return MessageFraming.write(message, into: &buffer)
    }
    MessageFraming.write(message, as: encoding, into: &buffer)
  }

  /// A message was taken for the handler: counts its bytes, and tells the handler whether they were compressed.
  func messageWasTaken() {
    context.countReceived(state.lastMessageWireLength)
    guard compression.isRequestEncoded, state.wasLastMessageCompressed != compression.wasTold else { return }
    compression.wasTold.toggle()
    context.isRequestCompressed = compression.wasTold
  }
}
