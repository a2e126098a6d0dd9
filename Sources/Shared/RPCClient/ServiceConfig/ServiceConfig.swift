package import NIOCore
internal import RPC

/// What a service's owner recommends to its clients: per-method deadlines, retries and limits, the load balancing
/// policy, health checking.
///
/// Read from JSON by ``init(json:)``, whole or not at all. Source: gRPC "Service Config"; gRFC A2, A6, A21, A50; WIRE W55.
package struct ServiceConfig: Sendable, Hashable {
  package enum Balancing: Sendable, Hashable {
    case pickFirst
    case roundRobin
    case leastRequest(choiceCount: Int)
  }

  /// What holds for the calls of one method, of all methods of a service, or of all.
  package struct Method: Sendable, Hashable {
    /// The longest that a call may take; a call's own deadline may be earlier.
    package var timeout: TimeAmount?
    package var waitForReady = false
    package var retryPolicy: RetryPolicy?
    package var maxRequestMessageBytes: Int?
    package var maxResponseMessageBytes: Int?

    package init() {}
  }

  /// `nil`: `pick_first`.
  package var balancing: Balancing?
  /// Of `round_robin` and `least_request`; `pick_first` has nothing to choose from.
  package var outlierDetection: OutlierDetection.Configuration?
  package var retryThrottle: RetryThrottle?
  /// Whose health each connection's server is asked for; empty: of the server as a whole; `nil`: not asked.
  package var healthCheckService: String?
  /// By `service/method`, `service/` and, for the default, the empty name.
  package var methods: [String: Method] = [:]

  package init() {}

  /// What holds for a call: of its method, or else of its service, or else the default.
  ///
  /// - Parameter path: `/service/method`.
  package func method(path: String) -> Method? {
    guard !methods.isEmpty else { return nil }
    let name = path.dropFirst()
    if let found = methods[String(name)] { return found }
    if let slash = name.lastIndex(of: "/"), let found = methods[String(name[...slash])] { return found }
    return methods[""]
  }
}

/// Why a service config was refused; the text names the member.
package struct ServiceConfigError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}
