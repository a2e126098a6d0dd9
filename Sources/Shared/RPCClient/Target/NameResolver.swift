internal import NIOCore
package import NIOPosix

/// Finds the addresses of a target.
package protocol NameResolver: Sendable {
  /// - Throws: ``ConnectFailure`` of the phase `resolving` when no name of the target has an address.
  func resolve(_ target: ChannelTarget) async throws -> [Endpoint]
}

/// Resolves names with the system's resolver (`getaddrinfo`), on a thread pool, since that blocks.
///
/// Order is the system's (RFC 6724). Numeric hosts resolve to themselves.
package struct SystemResolver: NameResolver {
  private let threads: NIOThreadPool

  package init(threads: NIOThreadPool = .singleton) { self.threads = threads }

  package func resolve(_ target: ChannelTarget) async throws -> [Endpoint] {
    switch target.source {
    case .endpoints(let endpoints): return endpoints
    case .names(let names):
      return try await threads.runIfActive {
        var endpoints: [Endpoint] = []
        var failure: ConnectFailure?
        for name in names {
          do {
            endpoints += try Self.lookUp(name)
          } catch {
            failure = ConnectFailure(phase: .resolving, address: name.host, cause: "\(error)")
          }
        }
        if endpoints.isEmpty, let failure { throw failure }
        return endpoints
      }
    }
  }
}
