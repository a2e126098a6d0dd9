package import NIOCore

/// Where a server listens, or a client connects to.
package enum EndpointAddress: Sendable, Hashable {
  /// A name or address, and a port; port 0 lets the system choose when listening.
  case tcp(host: String, port: Int)
  case unix(path: String)
}

extension EndpointAddress: CustomStringConvertible {
  /// As ``init(_:)`` reads it.
  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Reads `host:port`, `[v6]:port`, `unix:path` or `unix:///absolute/path`.
  package init?(_ text: String) {
    let unix = "unix:"
    if text.hasPrefix(unix) {
      let path = text.dropFirst(unix.count)
      let absolute = path.hasPrefix("//") ? path.dropFirst(2) : path
      guard !absolute.isEmpty else { return nil }
      self = .unix(path: String(absolute))
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty else { return nil }
    self = .tcp(host: String(host), port: Int(port))
  }

  /// The address that a socket is bound to.
  package init?(_ address: SocketAddress?) {
    switch address {
    case .v4, .v6:
      guard let host = address?.ipAddress, let port = address?.port else { return nil }
      self = .tcp(host: host, port: port)
    case .unixDomainSocket: self = .unix(path: address?.pathname ?? "")
    case nil: return nil
    }
  }
}

extension SocketAddress {
  /// As gRPC names peers: `ipv4:127.0.0.1:50412`, `ipv6:[::1]:50412`, `unix:/path`.
  package var peerName: String {
    switch self {
    case .v4: "ipv4:\(ipAddress ?? ""):\(port ?? 0)"
    case .v6: "ipv6:[\(ipAddress ?? "")]:\(port ?? 0)"
    case .unixDomainSocket: "unix:\(pathname ?? "")"
    }
  }
}
