internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import RPC
internal import Synchronization
internal import X509

/// The TLS of a server, made from files and made anew on demand. Connections that exist keep what they began with.
package final class ServerTLS: Sendable {
  private let files: ServerTLSFiles
  private let current: Mutex<NIOSSLContext>

  package init(_ files: ServerTLSFiles) throws(TLSFilesError) {
    self.files = files
    self.current = Mutex(try Self.makeContext(files))
  }

  /// Reads the files again; new connections use what they hold now.
  ///
  /// - Throws: if they do not fit together, in which case what was loaded before stays in use.
  package func reload() throws(TLSFilesError) {
    let context = try Self.makeContext(files)
    current.withLock { $0 = context }
  }

  private static func makeContext(_ files: ServerTLSFiles) throws(TLSFilesError) -> NIOSSLContext {
    let (chain, key) = try files.identity.load()
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = [alpnHTTP2]
    if let authorities = files.clientAuthorities {
      configuration.trustRoots = .certificates(try loadCertificates(authorities, purpose: "client authorities"))
      configuration.certificateVerification =
        files.requiresClientCertificate ? .noHostnameVerification : .optionalVerification
    }
    return try makeTLSContext(configuration)
  }

  /// The handlers of an accepted connection; `ready` is called once the handshake is done and the peer speaks h2.
  func addHandlers(
    to channel: any Channel, ready: @escaping @Sendable (any Channel, PeerCertificate?) throws -> Void
  ) throws {
    let context = current.withLock { $0 }
    try channel.pipeline.syncOperations.addHandlers(
      [NIOSSLServerHandler(context: context), TLSHandshakeHandler(ready: ready)])
  }
}

/// The TLS of a client, made from files and made anew on demand.
package final class ClientTLS: Sendable {
  private let files: ClientTLSFiles
  private let current: Mutex<NIOSSLContext>

  package init(_ files: ClientTLSFiles) throws(TLSFilesError) {
    self.files = files
    self.current = Mutex(try Self.makeContext(files))
  }

  /// Reads the files again; new connections use what they hold now.
  package func reload() throws(TLSFilesError) {
    let context = try Self.makeContext(files)
    current.withLock { $0 = context }
  }

  private static func makeContext(_ files: ClientTLSFiles) throws(TLSFilesError) -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = [alpnHTTP2]
    if let authorities = files.serverAuthorities {
      configuration.trustRoots = .certificates(try loadCertificates(authorities, purpose: "server authorities"))
    }
    if let identity = files.identity {
      let (chain, key) = try identity.load()
      configuration.certificateChain = chain.map { .certificate($0) }
      configuration.privateKey = .privateKey(key)
    }
    return try makeTLSContext(configuration)
  }

  /// The handlers of a connection that was made; the server must prove to be `host`, or the configured name.
  func addHandlers(
    to channel: any Channel, host: String?,
    ready: @escaping @Sendable (any Channel, PeerCertificate?) throws -> Void
  ) throws {
    let context = current.withLock { $0 }
    let name = files.serverName ?? host
    // An IP address is no server name (RFC 6066 section 3); the certificate is checked against the peer's address then.
    let isAddress = name.map { (try? SocketAddress(ipAddress: $0, port: 0)) != nil } ?? true
    try channel.pipeline.syncOperations.addHandlers(
      [
        try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name),
        TLSHandshakeHandler(ready: ready),
      ])
  }
}

private let alpnHTTP2 = "h2"

private func makeTLSContext(_ configuration: TLSConfiguration) throws(TLSFilesError) -> NIOSSLContext {
  do {
    return try NIOSSLContext(configuration: configuration)
  } catch {
    throw TLSFilesError("TLS cannot be set up: \(error).")
  }
}

/// The peer did not agree to speak HTTP/2 (W2).
package struct ALPNError: Error, Sendable, Hashable, CustomStringConvertible {
  package var negotiated: String?

  package var description: String {
    "The peer did not choose h2 by ALPN (it chose \(negotiated.map { "\"\($0)\"" } ?? "nothing"))."
  }
}

/// Waits for the handshake, requires h2, takes the peer's identity out of its verified certificate, and makes way.
private final class TLSHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let ready: @Sendable (any Channel, PeerCertificate?) throws -> Void

  init(ready: @escaping @Sendable (any Channel, PeerCertificate?) throws -> Void) { self.ready = ready }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .handshakeCompleted(let negotiated) = event as? TLSUserEvent else {
      return context.fireUserInboundEventTriggered(event)
    }
    guard negotiated == alpnHTTP2 else {
      context.fireErrorCaught(ALPNError(negotiated: negotiated))
      return context.close(promise: nil)
    }
    do {
      let certificate = try context.pipeline.syncOperations.nioSSL_peerCertificate()
      try ready(context.channel, certificate.flatMap { PeerCertificate($0) })
      context.pipeline.syncOperations.removeHandler(self, promise: nil)
    } catch {
      context.fireErrorCaught(error)
      context.close(promise: nil)
    }
  }
}

extension PeerCertificate {
  /// The subject alternative names; `nil` when the certificate cannot be read, so that it grants nothing.
  fileprivate init?(_ certificate: NIOSSLCertificate) {
    guard let bytes = try? certificate.toDERBytes(), let parsed = try? Certificate(derEncoded: bytes),
      let names = try? parsed.extensions.subjectAlternativeNames
    else { return nil }
    var uris: [String] = []
    var dnsNames: [String] = []
    for name in names {
      switch name {
      case .uniformResourceIdentifier(let uri): uris.append(uri)
      case .dnsName(let dnsName): dnsNames.append(dnsName)
      default: break
      }
    }
    self.init(uris: uris, dnsNames: dnsNames)
  }
}
