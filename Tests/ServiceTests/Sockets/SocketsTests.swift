import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import RPC
import Sockets
import Synchronization
import Testing
import X509

@Suite("Endpoint addresses")
struct EndpointAddressTests {
  @Test(
    "what is understood",
    arguments: [
      ("127.0.0.1:7443", EndpointAddress.tcp(host: "127.0.0.1", port: 7443)),
      ("[::1]:0", .tcp(host: "::1", port: 0)), ("localhost:1", .tcp(host: "localhost", port: 1)),
      ("unix:/run/a.sock", .unix(path: "/run/a.sock")), ("unix:///run/a.sock", .unix(path: "/run/a.sock")),
      ("unix:a.sock", .unix(path: "a.sock")),
    ])
  func legal(text: String, expected: EndpointAddress) {
    #expect(EndpointAddress(text) == expected)
  }

  @Test("what is not", arguments: ["", "host", ":80", "host:", "host:65536", "host:-1", "::1:80", "unix:", "host:8x"])
  func illegal(text: String) {
    #expect(EndpointAddress(text) == nil)
  }
}

@Suite("Listeners and connectors, over real sockets")
struct SocketsTests {
  static let group = MultiThreadedEventLoopGroup.singleton

  /// Listens, connects, and returns what the server learnt of the client; or throws why the client could not connect.
  static func meet(
    _ address: EndpointAddress = .tcp(host: "127.0.0.1", port: 0), server: ServerTLS? = nil, client: ClientTLS? = nil,
    host: String? = "localhost"
  ) async throws -> Peer {
    let peers = AsyncStream<Peer>.makeStream()
    let listener = try await ServerListener.bind(address, tls: server, group: group) { channel, peer, _ in
      peers.continuation.yield(peer)
      channel.closeFuture.whenComplete { _ in peers.continuation.finish() }
    }
    let result: Result<any Channel, any Error>
    do {
      let channel = try await ClientConnector.connect(
        to: listener.address, host: host, tls: client, on: group.any()
      ) { _, _ in }
      // In TLS 1.3 a client is done before the server has judged its certificate: bytes tell.
      result = .success(channel)
    } catch {
      result = .failure(error)
    }
    let channel = try? result.get()
    defer {
      channel?.close(promise: nil)
      listener.channel.close(promise: nil)
    }
    guard let channel else {
      _ = try result.get()
      throw ChannelError.eof
    }
    channel.closeFuture.whenComplete { _ in peers.continuation.finish() }
    for await peer in peers.stream { return peer }
    throw Refused()
  }

  /// The server closed the connection instead of handing it on.
  struct Refused: Error {}

  static func serverNames() -> [GeneralName] { [.dnsName("localhost")] }
  static let service = "spiffe://clinicavoice/service/appointment-service"

  @Test("plaintext over TCP: port 0 becomes a real one, the peer is named as gRPC names it")
  func plaintext() async throws {
    let peer = try await Self.meet()
    #expect(peer.address.hasPrefix("ipv4:127.0.0.1:"))
    #expect(peer.certificate == nil)
  }

  @Test("plaintext over a unix-domain socket")
  func unixDomain() async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "s-\(UUID().uuidString.prefix(8)).sock").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let peer = try await Self.meet(.unix(path: path))
    #expect(peer.address.hasPrefix("unix:"))
  }

  @Test("an address that is taken is named in the error")
  func takenPort() async throws {
    let first = try await ServerListener.bind(
      .tcp(host: "127.0.0.1", port: 0), tls: nil, group: Self.group
    ) { _, _, _ in }
    defer { first.channel.close(promise: nil) }
    let error = await #expect(throws: ListenError.self) {
      try await ServerListener.bind(first.address, tls: nil, group: Self.group) { _, _, _ in }
    }
    #expect(error?.description.contains(first.address.description) == true)
  }

  @Test("DESIGN 7: the server reads the client's identity out of its verified certificate")
  func mutualTLS() async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(
      ServerTLSFiles(
        identity: try authority.issue("server", Self.serverNames()), clientAuthorities: authority.authorityFile,
        requiresClientCertificate: true))
    let identity = try authority.issue(
      "client", [.uniformResourceIdentifier(Self.service), .dnsName("appointment.internal")])
    let client = try ClientTLS(ClientTLSFiles(serverAuthorities: authority.authorityFile, identity: identity))
    let peer = try await Self.meet(server: server, client: client)
    #expect(peer.certificate == PeerCertificate(uris: [Self.service], dnsNames: ["appointment.internal"]))
  }

  @Test("a client without a certificate is let in or refused, as configured", arguments: [true, false])
  func clientWithoutCertificate(required: Bool) async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(
      ServerTLSFiles(
        identity: try authority.issue("server", Self.serverNames()), clientAuthorities: authority.authorityFile,
        requiresClientCertificate: required))
    let client = try ClientTLS(ClientTLSFiles(serverAuthorities: authority.authorityFile))
    let peer = try? await Self.meet(server: server, client: client)
    #expect((peer == nil) == required)
    #expect(peer?.certificate == nil)
  }

  @Test("a client with a stranger's certificate is refused, even where none is required")
  func strangersCertificate() async throws {
    let authority = try TestAuthority()
    let stranger = try TestAuthority(name: "stranger")
    let server = try ServerTLS(
      ServerTLSFiles(
        identity: try authority.issue("server", Self.serverNames()), clientAuthorities: authority.authorityFile))
    let identity = try stranger.issue("client", [.uniformResourceIdentifier(Self.service)])
    let client = try ClientTLS(ClientTLSFiles(serverAuthorities: authority.authorityFile, identity: identity))
    await #expect(throws: (any Error).self) { try await Self.meet(server: server, client: client) }
  }

  @Test("a server with another name, or of another authority, is refused", arguments: [true, false])
  func wrongServer(isStranger: Bool) async throws {
    let authority = try TestAuthority()
    let other = try TestAuthority(name: "other")
    let issuer = isStranger ? other : authority
    let names: [GeneralName] = isStranger ? Self.serverNames() : [.dnsName("elsewhere")]
    let server = try ServerTLS(ServerTLSFiles(identity: try issuer.issue("server", names)))
    let client = try ClientTLS(ClientTLSFiles(serverAuthorities: authority.authorityFile))
    await #expect(throws: (any Error).self) { try await Self.meet(server: server, client: client) }
  }

  @Test("the name to verify can be given where it is not the target's")
  func serverName() async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(ServerTLSFiles(identity: try authority.issue("server", [.dnsName("elsewhere")])))
    let client = try ClientTLS(
      ClientTLSFiles(serverAuthorities: authority.authorityFile, serverName: "elsewhere"))
    _ = try await Self.meet(server: server, client: client)
  }

  @Test("W2: a client that does not ask for h2 is refused")
  func noALPN() async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(ServerTLSFiles(identity: try authority.issue("server", Self.serverNames())))
    let wasHandedOn = Mutex(false)
    let listener = try await ServerListener.bind(
      .tcp(host: "127.0.0.1", port: 0), tls: server, group: Self.group
    ) { channel, _, _ in
      wasHandedOn.withLock { $0 = true }
      channel.close(promise: nil)
    }
    defer { listener.channel.close(promise: nil) }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    let context = try NIOSSLContext(configuration: configuration)
    let channel = try await ClientBootstrap(group: Self.group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        }
      }
      .connect(to: try #require(listener.channel.localAddress)).get()
    try await channel.closeFuture.get()
    #expect(!wasHandedOn.withLock { $0 })
  }

  @Test("W2: a client that speaks TLS 1.1 at most is refused, one of TLS 1.2 is not", arguments: [true, false])
  func oldTLS(isOld: Bool) async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(ServerTLSFiles(identity: try authority.issue("server", Self.serverNames())))
    let connected = AsyncStream<Bool>.makeStream()
    let listener = try await ServerListener.bind(
      .tcp(host: "127.0.0.1", port: 0), tls: server, group: Self.group
    ) { _, _, _ in connected.continuation.yield(true) }
    defer { listener.channel.close(promise: nil) }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.applicationProtocols = ["h2"]
    configuration.minimumTLSVersion = .tlsv1
    configuration.maximumTLSVersion = isOld ? .tlsv11 : .tlsv12
    let context = try NIOSSLContext(configuration: configuration)
    let channel = try await ClientBootstrap(group: Self.group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        }
      }
      .connect(to: try #require(listener.channel.localAddress)).get()
    channel.closeFuture.whenComplete { _ in connected.continuation.yield(false) }
    #expect(await connected.stream.first { _ in true } == !isOld)
    channel.close(promise: nil)
  }

  @Test("S3-slow-loris: a TLS handshake that is not finished in time is cut off, and counted")
  func silentTLS() async throws {
    let authority = try TestAuthority()
    let server = try ServerTLS(ServerTLSFiles(identity: try authority.issue("server", Self.serverNames())))
    let refusals = AsyncStream<ConnectionRefusal>.makeStream()
    let listener = try await ServerListener.bind(
      .tcp(host: "127.0.0.1", port: 0), tls: server, group: Self.group, handshakeTimeout: .milliseconds(50)
    ) { _, _, _ in
      Issue.record("the connection was handed on")
    } refused: { refusal, _ in
      refusals.continuation.yield(refusal)
    }
    defer { listener.channel.close(promise: nil) }
    let channel = try await ClientBootstrap(group: Self.group)
      .connect(to: try #require(listener.channel.localAddress)).get()
    try await channel.closeFuture.get()
    #expect(await refusals.stream.first { _ in true } == .handshakeTimeout)
  }

  @Test("S3-idle: connections over the limit of a listener are closed on arrival, and taken again when others end")
  func connectionLimit() async throws {
    let arrivals = AsyncStream<(channel: (any Channel)?, refusal: ConnectionRefusal?)>.makeStream()
    let listener = try await ServerListener.bind(
      .tcp(host: "127.0.0.1", port: 0), tls: nil, group: Self.group, maxConnections: 1
    ) { channel, _, _ in
      arrivals.continuation.yield((channel, nil))
    } refused: { refusal, _ in
      arrivals.continuation.yield((nil, refusal))
    }
    defer { listener.channel.close(promise: nil) }
    let address = try #require(listener.channel.localAddress)
    var events = arrivals.stream.makeAsyncIterator()
    let first = try await ClientBootstrap(group: Self.group).connect(to: address).get()
    let serversEnd = try #require(await events.next()?.channel)
    let second = try await ClientBootstrap(group: Self.group).connect(to: address).get()
    try #require(await events.next()?.refusal == .tooManyConnections)
    try await second.closeFuture.get()
    try await first.close().get()
    try await serversEnd.closeFuture.get()
    let third = try await ClientBootstrap(group: Self.group).connect(to: address).get()
    #expect(await events.next()?.channel != nil)
    third.close(promise: nil)
  }

  @Test("reloading takes up a renewed certificate, and keeps the old one when the files are bad")
  func reload() async throws {
    let old = try TestAuthority(name: "old")
    let new = try TestAuthority(name: "new")
    let files = try old.issue("server", Self.serverNames())
    let server = try ServerTLS(ServerTLSFiles(identity: files))
    let trustsOld = try ClientTLS(ClientTLSFiles(serverAuthorities: old.authorityFile))
    let trustsNew = try ClientTLS(ClientTLSFiles(serverAuthorities: new.authorityFile))
    try "garbage".write(toFile: files.privateKey, atomically: true, encoding: .utf8)
    #expect(throws: TLSFilesError.self) { try server.reload() }
    _ = try await Self.meet(server: server, client: trustsOld)
    let renewed = try new.issue("server", Self.serverNames())
    for (from, to) in [
      (renewed.certificateChain, files.certificateChain), (renewed.privateKey, files.privateKey),
    ] {
      try String(contentsOfFile: from, encoding: .utf8).write(toFile: to, atomically: true, encoding: .utf8)
    }
    try server.reload()
    _ = try await Self.meet(server: server, client: trustsNew)
    await #expect(throws: (any Error).self) { try await Self.meet(server: server, client: trustsOld) }
  }

  @Test("files that are missing, empty or do not fit together are named")
  func badFiles() throws {
    let authority = try TestAuthority()
    let first = try authority.issue("first", [])
    let second = try authority.issue("second", [])
    let missing = TLSIdentityFiles(certificateChain: "/nowhere/cert.pem", privateKey: first.privateKey)
    let swapped = TLSIdentityFiles(certificateChain: first.certificateChain, privateKey: second.privateKey)
    let noKey = TLSIdentityFiles(certificateChain: first.certificateChain, privateKey: first.certificateChain)
    for (files, expected) in [(missing, "/nowhere/cert.pem"), (swapped, "does not belong"), (noKey, "private key")] {
      let error = #expect(throws: TLSFilesError.self) { try ServerTLS(ServerTLSFiles(identity: files)) }
      #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }
  }
}
