internal import FoundationEssentials
internal import Logging
internal import NIOCore
internal import Observability
internal import RPC
internal import RPCClient
internal import Sockets

/// Our channel to patient-service: over mutual TLS with our own certificate, or in plaintext with a token.
struct PeerConnection: Sendable {
  /// What the service calls through.
  let channel: any RPCChannel
  private let client: RPCClientChannel
  private let tls: ClientTLS?
  private let configFile: String?

  /// `nil` where the configuration names no peer.
  init?(_ configuration: ServeConfiguration, on loop: any EventLoop, logger: Logger) throws(LaunchFailure) {
    guard let peer = configuration.patientService else { return nil }
    configFile = peer.configFile
    tls = try Self.tls(peer, identity: configuration.tls)
    let target: ChannelTarget
    do throws(TargetError) {
      target = try ChannelTarget(parsing: peer.target, defaultPort: tls == nil ? 80 : 443)
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
    var settings = RPCClientConfiguration()
    settings.backoff = Self.backoff
    settings.resolution = Self.resolution
    do throws(ServiceConfigError) {
      settings.serviceConfig = try peer.configFile.map { file throws(ServiceConfigError) in
        try ServiceConfig(file: file)
      }
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
    client = RPCClientChannel(
      target: target, connector: SocketConnector(tls: tls, hostName: target.hostName), on: loop,
      configuration: settings, logger: logger)
    var interceptors: [any ClientInterceptor] = [ClientCallMetrics(target: peer.target)]
    if let file = peer.tokenFile { interceptors.append(BearerInterceptor(token: try Self.token(file))) }
    channel = client.intercepted(by: interceptors)
  }

  /// A peer that is back is called again within about a second: one service of our own, not a fleet of strangers, so
  /// the two minutes of the general rule (WIRE W50) would only keep the clinic waiting.
  private static let backoff = ConnectionBackoff.Policy(initial: .milliseconds(100), maximum: .seconds(1))

  /// And so is one that is back under another address.
  private static let resolution = ResolutionSchedule.Policy(minimumInterval: .seconds(1), backoff: backoff)

  func close() async { await client.close() }

  /// Reads again the certificates, for new connections, and the service config, for new calls. What is not valid
  /// changes nothing.
  func reload() throws {
    let config = try configFile.map { try ServiceConfig(file: $0) }
    try tls?.reload()
    if let config { client.use(config) }
  }

  private static func tls(
    _ peer: ServeConfiguration.PatientService, identity: ServeConfiguration.TLS?
  ) throws(LaunchFailure) -> ClientTLS? {
    guard let ca = peer.ca, let identity else { return nil }
    do throws(TLSFilesError) {
      return try ClientTLS(
        ClientTLSFiles(
          serverAuthorities: ca,
          identity: TLSIdentityFiles(certificateChain: identity.certificate, privateKey: identity.key)))
    } catch {
      throw LaunchFailure(.configuration, error.description)
    }
  }

  private static func token(_ file: String) throws(LaunchFailure) -> String {
    guard let data = try? Data(contentsOf: URL(filePath: file)) else {
      throw LaunchFailure(.configuration, "The file \(file) of --patient-service-token-file cannot be read.")
    }
    let token = String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }
    guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw LaunchFailure(.configuration, "The file \(file) of --patient-service-token-file holds no token.")
    }
    return token
  }
}
