import RPCClient
import Testing

@Suite struct ChannelTargetTests {
  @Test(
    "names are resolved later, with the port that the target or the default gives (W56)",
    arguments: [
      ("patients.internal", "patients.internal", 443),
      ("patients.internal:7443", "patients.internal", 7443),
      ("dns:patients.internal:7443", "patients.internal", 7443),
      ("dns:///patients.internal", "patients.internal", 443),
      ("dns:///[::1]:7443", "::1", 7443),
      ("dns:::1", "::1", 443),
      ("DNS:///patients.internal:7443", "patients.internal", 7443),
      ("localhost:1", "localhost", 1),
      ("xds-like.name", "xds-like.name", 443),
    ])
  func names(text: String, host: String, port: Int) throws {
    let target = try ChannelTarget(parsing: text)
    #expect(target.source == .names([.init(host: host, port: port)]))
    #expect(target.hostName == host)
    #expect(target.description == text)
  }

  @Test(
    "addresses are taken as they are (W56)",
    arguments: [
      ("ipv4:127.0.0.1:7443", [Endpoint.ipv4(host: "127.0.0.1", port: 7443)], "127.0.0.1:7443"),
      (
        "ipv4:127.0.0.1:1,127.0.0.2:2", [.ipv4(host: "127.0.0.1", port: 1), .ipv4(host: "127.0.0.2", port: 2)],
        "127.0.0.1:1"
      ),
      ("ipv6:[::1]:7443", [.ipv6(host: "::1", port: 7443)], "[::1]:7443"),
      ("ipv6:::1", [.ipv6(host: "::1", port: 443)], "[::1]:443"),
      ("unix:/run/x.sock", [.unix(path: "/run/x.sock")], "localhost"),
      ("unix:///run/x.sock", [.unix(path: "/run/x.sock")], "localhost"),
      ("unix:x.sock", [.unix(path: "x.sock")], "localhost"),
      ("unix-abstract:patients", [.unixAbstract(name: "patients")], "localhost"),
    ])
  func addresses(text: String, endpoints: [Endpoint], authority: String) throws {
    let target = try ChannelTarget(parsing: text)
    #expect(target.source == .endpoints(endpoints))
    #expect(target.authority == authority)
  }

  @Test(
    "a port that is not named is the one of the transport (W56)", arguments: ["a", "dns:a", "dns:///a", "[::1]", "::1"])
  func defaultPort(text: String) throws {
    let host = text.hasSuffix("a") ? "a" : "::1"
    let target = try ChannelTarget(parsing: text, defaultPort: 80)
    #expect(target.source == .names([.init(host: host, port: 80)]))
    #expect(target.authority == (host == "a" ? "a:80" : "[::1]:80"))
  }

  @Test("a scheme that is not known is part of a DNS name (W56)", arguments: ["xds:7443", "ipv5:7443", "unixx:7443"])
  func unknownScheme(text: String) throws {
    let scheme = String(text.prefix { $0 != ":" })
    #expect(try ChannelTarget(parsing: text).source == .names([.init(host: scheme, port: 7443)]))
  }

  @Test("an authority in a DNS target, which cannot be asked, is refused by name; an empty one is fine (W56)")
  func dnsServer() throws {
    let error = #expect(throws: TargetError.self) { try ChannelTarget(parsing: "dns://8.8.8.8:53/patients:7443") }
    #expect(
      error?.description
        == "The target 'dns://8.8.8.8:53/patients:7443' names the DNS server '8.8.8.8:53', but the system's resolver "
        + "takes none; write dns:///patients:7443.")
    #expect(try ChannelTarget(parsing: "dns:///patients:7443").hostName == "patients")
  }

  @Test("a list of hosts is tried in its order", arguments: ["static:a:1,b:2", "a:1,b:2"])
  func list(text: String) throws {
    let target = try ChannelTarget(parsing: text)
    #expect(target.source == .names([.init(host: "a", port: 1), .init(host: "b", port: 2)]))
    #expect(target.authority == "a:1")
  }

  @Test(
    "what cannot be a target is refused with a sentence",
    arguments: [
      "", "dns:", "a:0", "a:65536", "a:+1", "a:x", "a:1,b", "a:1,", ":80", "[::1", "[::1]x:1", "ipv4:localhost:1",
      "ipv4:[::1]:1", "ipv6:127.0.0.1:1", "unix:", "unix:///", "unix-abstract:", "dns://8.8.8.8/host:1", "dns://host",
      "http://host:80", "a b:1", "unix:/" + String(repeating: "x", count: 200),
      "unix-abstract:" + String(repeating: "x", count: 108),
    ])
  func refused(text: String) {
    #expect(throws: TargetError.self) { try ChannelTarget(parsing: text) }
  }

  @Test("families alternate, beginning with the resolver's first, and nothing is tried twice (W53)")
  func interleaving() {
    let endpoints: [Endpoint] = [
      .ipv6(host: "::1", port: 1), .ipv6(host: "::2", port: 1), .ipv6(host: "::1", port: 1),
      .ipv6(host: "::3", port: 1), .ipv4(host: "1.1.1.1", port: 1), .ipv4(host: "2.2.2.2", port: 1),
    ]
    #expect(
      endpoints.interleavedByFamily() == [
        .ipv6(host: "::1", port: 1), .ipv4(host: "1.1.1.1", port: 1), .ipv6(host: "::2", port: 1),
        .ipv4(host: "2.2.2.2", port: 1), .ipv6(host: "::3", port: 1),
      ])
  }
}
