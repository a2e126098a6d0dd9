internal import Sockets

/// Where a server listens: `HOST:PORT`, an IPv6 address in brackets, port 0 to let the system choose; or `unix:/PATH`.
package enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address, without brackets.
  case tcp(host: String, port: Int)
  /// An absolute path.
  case unix(path: String)

  package init(host: String, port: Int) { self = .tcp(host: host, port: port) }

  /// - Returns: `nil` unless it has that form.
  package init?(_ text: String) {
    let unix = "unix:"
    if text.hasPrefix(unix) {
      let path = text.dropFirst(unix.count)
      // unix(7): sun_path has 108 bytes, the last of which is zero.
      guard path.first == "/", path.utf8.count < 108, !path.utf8.contains(0) else { return nil }
      self = .unix(path: String(path))
      return
    }
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = Int(digits), port <= 65_535
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" || $0 == "[" || $0 == "]" }) else {
      return nil
    }
    self.init(host: String(host), port: port)
  }

  /// Whether only this machine can reach it.
  package var isLoopback: Bool {
    guard case .tcp(let host, _) = self else { return true }
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  package var description: String { endpoint.description }

  var endpoint: EndpointAddress {
    switch self {
    case .tcp(let host, let port): .tcp(host: host, port: port)
    case .unix(let path): .unix(path: path)
    }
  }
}
