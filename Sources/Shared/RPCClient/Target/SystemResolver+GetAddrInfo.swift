internal import NIOCore

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

extension SystemResolver {
  /// At most this many addresses of one name are used.
  private static let maxAddresses = 128

  struct LookupError: Error, CustomStringConvertible {
    let description: String
  }

  static func lookUp(_ name: ChannelTarget.HostPort) throws -> [Endpoint] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = Int32(SOCK_STREAM)
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name.host, String(name.port), &hints, &list)
    guard code == 0 else { throw LookupError(description: String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(list) }

    var endpoints: [Endpoint] = []
    var entry = list
    while let current = entry, endpoints.count < maxAddresses {
      if let endpoint = endpoint(of: current.pointee, port: name.port) { endpoints.append(endpoint) }
      entry = current.pointee.ai_next
    }
    guard !endpoints.isEmpty else { throw LookupError(description: "the name has no addresses") }
    return endpoints
  }

  private static func endpoint(of entry: addrinfo, port: Int) -> Endpoint? {
    guard entry.ai_family == AF_INET || entry.ai_family == AF_INET6 else { return nil }
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let length = socklen_t(host.count)
    guard getnameinfo(entry.ai_addr, entry.ai_addrlen, &host, length, nil, 0, NI_NUMERICHOST) == 0 else { return nil }
    let text = String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return entry.ai_family == AF_INET ? .ipv4(host: text, port: port) : .ipv6(host: text, port: port)
  }
}
