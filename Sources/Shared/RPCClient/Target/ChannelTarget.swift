internal import NIOCore

/// What a channel is told to talk to, and where its addresses come from.
///
/// Grammar (gRPC "Name Resolution"; WIRE W56): `dns:[///]host[:port]`, `ipv4:a:p[,b:p…]`, `ipv6:[a]:p[,…]`,
/// `unix:path`, `unix:///absolute/path`, `unix-abstract:name` (Linux), and of our own `static:host:port[,host:port…]`,
/// which may also be written without its scheme when it has a comma. Anything with no known scheme is a DNS name.
/// Schemes are compared without regard to case (RFC 3986, 3.1).
///
/// gRPC also has `dns://authority/host`, where the authority is the DNS server to ask. The system's resolver cannot be
/// told one, so that an authority that is not empty is refused rather than passed over.
package struct ChannelTarget: Sendable, Hashable {
  package enum Source: Sendable, Hashable {
    /// Names and ports that are resolved anew whenever the channel needs a connection.
    case names([HostPort])
    /// Addresses that are given.
    case endpoints([Endpoint])
  }

  package struct HostPort: Sendable, Hashable {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
      self.host = host
      self.port = port
    }
  }

  package let source: Source
  /// What goes into `:authority` unless the channel's configuration says otherwise.
  package let authority: String
  /// The name that a server's certificate must carry, unless the configuration says otherwise; `nil` for a target
  /// that names no host.
  package let hostName: String?
  private let text: String

  /// - Parameter defaultPort: taken where a DNS target names no port: 443 under TLS, otherwise 80.
  /// - Throws: ``TargetError`` with a sentence that says which part is wrong.
  package init(parsing text: String, defaultPort: Int = 443) throws(TargetError) {
    guard !text.isEmpty else { throw TargetError("The target is empty.") }
    guard text.utf8.count <= 4096 else { throw TargetError("The target is longer than 4096 bytes.") }
    let (scheme, rest) = Self.split(text)
    switch scheme {
    case "unix":
      let path = rest.hasPrefix("///") ? String(rest.dropFirst(2)) : rest
      guard !path.isEmpty, path != "/", !path.hasPrefix("//") else {
        throw TargetError("The target '\(text)' names no socket path; write unix:path or unix:///absolute/path.")
      }
      guard (try? SocketAddress(unixDomainSocketPath: path)) != nil else {
        throw TargetError("The socket path in '\(text)' is longer than the system allows.")
      }
      self.init(text: text, source: .endpoints([.unix(path: path)]), authority: "localhost", hostName: nil)
    case "unix-abstract":
      // sun_path has 108 bytes, of which the first is NUL.
      guard (1...107).contains(rest.utf8.count), !rest.utf8.contains(0) else {
        throw TargetError("The target '\(text)' names no abstract socket; write unix-abstract:name.")
      }
      self.init(text: text, source: .endpoints([.unixAbstract(name: rest)]), authority: "localhost", hostName: nil)
    case "ipv4", "ipv6":
      let hosts = try Self.hostPorts(rest, of: text, defaultPort: defaultPort)
      var endpoints: [Endpoint] = []
      for item in hosts {
        guard let address = try? SocketAddress(ipAddress: item.host, port: item.port),
          let endpoint = Endpoint(address), endpoint.description.hasPrefix(scheme ?? "")
        else { throw TargetError("The target '\(text)': '\(item.host)' is not an \(scheme ?? "") address.") }
        endpoints.append(endpoint)
      }
      self.init(
        text: text, source: .endpoints(endpoints), authority: Self.authority(of: hosts[0]), hostName: hosts[0].host)
    case "static":
      let hosts = try Self.hostPorts(rest, of: text, defaultPort: nil)
      self.init(text: text, source: .names(hosts), authority: Self.authority(of: hosts[0]), hostName: hosts[0].host)
    default:
      let name = try Self.dnsName(rest, of: text)
      let hosts = try Self.hostPorts(name, of: text, defaultPort: name.contains(",") ? nil : defaultPort)
      self.init(text: text, source: .names(hosts), authority: Self.authority(of: hosts[0]), hostName: hosts[0].host)
    }
  }

  private init(text: String, source: Source, authority: String, hostName: String?) {
    self.text = text
    self.source = source
    self.authority = authority
    self.hostName = hostName
  }

  /// A target whose addresses are known to the program.
  package init(endpoints: [Endpoint], authority: String = "localhost") {
    self.init(
      text: endpoints.map(\.description).joined(separator: ","), source: .endpoints(endpoints), authority: authority,
      hostName: nil)
  }
}

extension ChannelTarget: CustomStringConvertible {
  /// As it was written.
  package var description: String { text }
}

/// A target that cannot be parsed; the text names the target and the part that is wrong.
package struct TargetError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

extension ChannelTarget {
  private static let schemes: Set<String> = ["dns", "ipv4", "ipv6", "unix", "unix-abstract", "static"]

  private static func split(_ text: String) -> (scheme: String?, rest: String) {
    guard let colon = text.firstIndex(of: ":") else { return (nil, text) }
    let scheme = text[..<colon].lowercased()
    guard schemes.contains(scheme) else { return (nil, text) }
    return (scheme, String(text[text.index(after: colon)...]))
  }

  private static func dnsName(_ rest: String, of text: String) throws(TargetError) -> String {
    guard rest.hasPrefix("//") else { return rest }
    let afterSlashes = rest.dropFirst(2)
    guard let slash = afterSlashes.firstIndex(of: "/") else {
      throw TargetError("The target '\(text)' names no host; write dns:host:port or dns:///host:port.")
    }
    guard slash == afterSlashes.startIndex else {
      throw TargetError(
        "The target '\(text)' names the DNS server '\(afterSlashes[..<slash])', but the system's resolver takes none; "
          + "write dns:///\(afterSlashes[afterSlashes.index(after: slash)...]).")
    }
    return String(afterSlashes[afterSlashes.index(after: slash)...])
  }

  private static func hostPorts(
    _ list: String, of text: String, defaultPort: Int?
  ) throws(TargetError) -> [HostPort] {
    var result: [HostPort] = []
    for item in list.split(separator: ",", omittingEmptySubsequences: false) {
      result.append(try hostPort(item, of: text, defaultPort: defaultPort))
    }
    guard result.count <= 128 else { throw TargetError("The target names more than 128 addresses.") }
    return result
  }

  private static func hostPort(
    _ item: Substring, of text: String, defaultPort: Int?
  ) throws(TargetError) -> HostPort {
    var host = item
    var port: Substring?
    if item.hasPrefix("[") {
      guard let close = item.firstIndex(of: "]") else { throw TargetError("The target '\(text)' has no ']'.") }
      host = item[item.index(after: item.startIndex)..<close]
      let after = item[item.index(after: close)...]
      guard after.isEmpty || after.hasPrefix(":") else {
        throw TargetError("The target '\(text)' has text between ']' and the port.")
      }
      port = after.isEmpty ? nil : after.dropFirst()
    } else if item.count(where: { $0 == ":" }) == 1, let colon = item.firstIndex(of: ":") {
      host = item[..<colon]
      port = item[item.index(after: colon)...]
    }
    guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
      throw TargetError("The target '\(text)' names no host, or one with characters that no host has.")
    }
    guard let port else {
      guard let defaultPort else { throw TargetError("The target '\(text)' needs a port for '\(host)'.") }
      return HostPort(host: String(host), port: defaultPort)
    }
    guard port.utf8.count <= 5, port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(port),
      (1...65535).contains(number)
    else { throw TargetError("The target '\(text)': '\(port)' is not a port (1 to 65535).") }
    return HostPort(host: String(host), port: number)
  }

  private static func authority(of item: HostPort) -> String {
    item.host.contains(":") ? "[\(item.host)]:\(item.port)" : "\(item.host):\(item.port)"
  }
}
