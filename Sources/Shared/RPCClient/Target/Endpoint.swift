package import NIOCore

/// One address that a connection can be made to: numeric, so that connecting resolves nothing.
package enum Endpoint: Sendable, Hashable {
  case ipv4(host: String, port: Int)
  case ipv6(host: String, port: Int)
  case unix(path: String)
  /// A socket in Linux' abstract namespace: its name without the leading NUL.
  case unixAbstract(name: String)
}

extension Endpoint: CustomStringConvertible {
  /// The gRPC spelling, as a target: `ipv4:127.0.0.1:7443`, `ipv6:[::1]:7443`, `unix:/run/x.sock`.
  package var description: String {
    switch self {
    case .ipv4(let host, let port): "ipv4:\(host):\(port)"
    case .ipv6(let host, let port): "ipv6:[\(host)]:\(port)"
    case .unix(let path): "unix:\(path)"
    case .unixAbstract(let name): "unix-abstract:\(name)"
    }
  }
}

extension Endpoint {
  /// - Throws: when the host is not numeric, the path is longer than a socket address holds, or the endpoint is in the
  ///   abstract namespace, whose addresses NIO cannot express.
  package func socketAddress() throws -> SocketAddress {
    switch self {
    case .ipv4(let host, let port), .ipv6(let host, let port): try SocketAddress(ipAddress: host, port: port)
    case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
    case .unixAbstract: throw SocketAddressError.unsupported
    }
  }

  /// The endpoint of a numeric address or a socket path; `nil` for a family that gRPC has no name for.
  package init?(_ address: SocketAddress) {
    switch address {
    case .v4: self = .ipv4(host: address.ipAddress ?? "", port: address.port ?? 0)
    case .v6: self = .ipv6(host: address.ipAddress ?? "", port: address.port ?? 0)
    case .unixDomainSocket: self = .unix(path: address.pathname ?? "")
    }
  }
}

extension [Endpoint] {
  /// Families in alternation, the first one's family first, order within a family kept, no endpoint twice.
  ///
  /// Source: RFC 8305 section 4; WIRE W53.
  package func interleavedByFamily() -> [Endpoint] {
    var seen: Set<Endpoint> = []
    let unique = filter { seen.insert($0).inserted }
    guard let first = unique.first else { return [] }
    let leading = unique.filter { $0.isIPv6 == first.isIPv6 }
    let other = unique.filter { $0.isIPv6 != first.isIPv6 }
    var result: [Endpoint] = []
    result.reserveCapacity(unique.count)
    for index in 0..<Swift.max(leading.count, other.count) {
      if index < leading.count { result.append(leading[index]) }
      if index < other.count { result.append(other[index]) }
    }
    return result
  }
}

extension Endpoint {
  var isTCP: Bool {
    switch self {
    case .ipv4, .ipv6: true
    case .unix, .unixAbstract: false
    }
  }

  fileprivate var isIPv6: Bool {
    if case .ipv6 = self { true } else { false }
  }
}
