/// An HTTP/2 error code, as RST_STREAM and GOAWAY carry it. Source: RFC 9113 section 7.
package struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable {
  package var rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let noError = Self(rawValue: 0x0)
  package static let protocolError = Self(rawValue: 0x1)
  package static let internalError = Self(rawValue: 0x2)
  package static let flowControlError = Self(rawValue: 0x3)
  package static let settingsTimeout = Self(rawValue: 0x4)
  package static let streamClosed = Self(rawValue: 0x5)
  package static let frameSizeError = Self(rawValue: 0x6)
  package static let refusedStream = Self(rawValue: 0x7)
  package static let cancel = Self(rawValue: 0x8)
  package static let compressionError = Self(rawValue: 0x9)
  package static let connectError = Self(rawValue: 0xa)
  package static let enhanceYourCalm = Self(rawValue: 0xb)
  package static let inadequateSecurity = Self(rawValue: 0xc)
  package static let http11Required = Self(rawValue: 0xd)
}

extension HTTP2ErrorCode: CustomStringConvertible {
  package var description: String {
    let names = [
      "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
      "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
      "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]
    return rawValue < names.count ? names[Int(rawValue)] : "error code \(rawValue)"
  }
}

/// The session cannot go on: the connection is to be closed. `text` is the library's reason.
package struct HTTP2SessionError: Error, Sendable, Hashable {
  package enum Cause: Sendable, Hashable {
    case protocolViolation
    /// More CONTINUATION frames than ``HTTP2Session/Configuration/maxContinuations``.
    case tooManyContinuations
    /// A header block came to more than ``HTTP2Session/Configuration/maxDecodedHeaders``.
    case headersTooLarge
    /// The peer asks for acknowledgements and does not read them.
    case tooManyUnsentAcknowledgements
  }

  package var text: String
  package var cause: Cause

  package init(_ text: String, _ cause: Cause = .protocolViolation) {
    self.text = text
    self.cause = cause
  }
}
