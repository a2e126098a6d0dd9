internal import Metrics
package import RPC
internal import Synchronization

/// Counts and times the calls of a server, by method and code, for whatever backend swift-metrics was given.
///
/// Labels are bounded: a path that the server does not have is counted as `unknown`, since peers choose it.
package final class CallMetrics: Sendable {
  private struct Label: Hashable {
    let path: String
    let code: StatusCode
  }
  private struct Instruments {
    let calls: Counter
    let duration: Metrics.Timer
  }

  private let paths: Set<String>
  private let instruments = Mutex<[Label: Instruments]>([:])

  /// - Parameter services: everything that the server serves.
  package init(services: [ServiceDescriptor]) {
    paths = Set(services.flatMap { service in service.methods.map { "/\(service.name)/\($0)" } })
  }

  func record(path: String, code: StatusCode, nanoseconds: Int64) {
    let label = Label(path: paths.contains(path) ? path : "unknown", code: code)
    let instruments = instruments.withLock { known in
      if let found = known[label] { return found }
      let dimensions = [("grpc.method", String(label.path.drop { $0 == "/" })), ("grpc.status", "\(code)")]
      let made = Instruments(
        calls: Counter(label: "grpc.server.call.finished", dimensions: dimensions),
        duration: Metrics.Timer(
          label: "grpc.server.call.duration", dimensions: dimensions, preferredDisplayUnit: .seconds))
      known[label] = made
      return made
    }
    instruments.calls.increment()
    instruments.duration.recordNanoseconds(nanoseconds)
  }
}
