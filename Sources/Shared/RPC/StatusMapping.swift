extension StatusCode {
  /// What a reset of a stream means for its call, when no status came. Source: WIRE 2.8.
  ///
  /// For `CANCEL` (8) a client whose deadline has passed reports ``deadlineExceeded`` instead (W41).
  package init(http2ErrorCode code: UInt32) {
    switch code {
    case 7: self = .unavailable  // REFUSED_STREAM: never processed
    case 8: self = .cancelled
    case 11: self = .resourceExhausted  // ENHANCE_YOUR_CALM
    case 12: self = .permissionDenied  // INADEQUATE_SECURITY
    default: self = .internal
    }
  }

  /// What an HTTP status means for a call whose response has no `grpc-status`. Source: WIRE W33.
  package init(httpStatus: Int) {
    switch httpStatus {
    case 400, 431: self = .internal
    case 401: self = .unauthenticated
    case 403: self = .permissionDenied
    case 404: self = .unimplemented
    case 429, 502, 503, 504: self = .unavailable
    default: self = .unknown
    }
  }

  /// Reads `grpc-status`: decimal, leading zeros allowed. `nil` when it is no number or none of the known codes;
  /// a client reports UNKNOWN then (W36).
  package init?(grpcStatus value: some Collection<UInt8>) {
    guard !value.isEmpty, value.count <= 8 else { return nil }
    var number = 0
    for byte in value {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      number = number * 10 + Int(byte - UInt8(ascii: "0"))
    }
    self.init(rawValue: number)
  }
}

/// The `content-type` rule of gRPC. Source: WIRE W8.
package enum ContentType {
  /// `application/grpc`, alone or followed by `+subtype` or `;parameters`. `application/grpc-web` is not it.
  package static func isGRPC(_ value: some Collection<UInt8>) -> Bool {
    let prefix = "application/grpc".utf8
    guard value.count >= prefix.count else { return false }
    guard zip(value, prefix).allSatisfy({ lowercased($0) == $1 }) else { return false }
    switch value.dropFirst(prefix.count).first {
    case nil, UInt8(ascii: "+"), UInt8(ascii: ";"), UInt8(ascii: " "): return true
    default: return false
    }
  }

  /// Media types are case-insensitive (RFC 9110 8.3.1).
  private static func lowercased(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}
