/// Why there is no connection: what an UNAVAILABLE status tells the caller (WIRE W51).
package struct ConnectFailure: Error, Sendable, Hashable {
  package enum Phase: String, Sendable, Hashable {
    case resolving = "name resolution"
    case connecting = "connecting"
    case tls = "TLS handshake"
    case alpn = "ALPN"
    case settings = "waiting for the server's SETTINGS"
    case health = "health check"
    case outlier = "outlier detection"
    case established = "connection lost"
  }

  package var phase: Phase
  /// The address, or the target while its names are being resolved.
  package var address: String
  package var cause: String
  /// Which attempt in a row to that address this was; zero when nothing was attempted.
  package var attempt: Int

  package init(phase: Phase, address: String, cause: String, attempt: Int = 0) {
    self.phase = phase
    self.address = address
    self.cause = cause
    self.attempt = attempt
  }
}

extension ConnectFailure: CustomStringConvertible {
  package var description: String {
    "\(address): \(phase.rawValue): \(cause)" + (attempt > 0 ? " (attempt \(attempt))" : "")
  }
}
