package import Metrics
package import RPC
internal import Synchronization

/// Counts, times and sizes the calls of a server under gRPC's standard names, for whatever backend swift-metrics was
/// given. Source: gRFC A66; WIRE 2.14.
///
/// | Name | Labels |
/// |---|---|
/// | `grpc.server.call.started` | `grpc.method` |
/// | `grpc.server.call.duration` | `grpc.method`, `grpc.status` |
/// | `grpc.server.call.sent_total_compressed_message_size` (bytes) | `grpc.method`, `grpc.status` |
/// | `grpc.server.call.rcvd_total_compressed_message_size` (bytes) | `grpc.method`, `grpc.status` |
///
/// Labels are bounded: a path that the server does not have is counted as `other`, since peers choose it.
package struct CallMetrics: Sendable {
  /// The instruments of one method.
  struct Method: Sendable {
    fileprivate let started: Counter
    fileprivate let byStatus: PerStatus<(duration: Metrics.Timer, sent: Recorder, received: Recorder)>

    init(name: String, factory: any MetricsFactory) {
      started = Counter(label: "grpc.server.call.started", dimensions: [("grpc.method", name)], factory: factory)
      byStatus = PerStatus { code in
        let labels = [("grpc.method", name), ("grpc.status", "\(code)")]
        func size(_ direction: String) -> Recorder {
          Recorder(
            label: "grpc.server.call.\(direction)_total_compressed_message_size", dimensions: labels, aggregate: true,
            factory: factory)
        }
        return (
          Metrics.Timer(
            label: "grpc.server.call.duration", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory),
          size("sent"), size("rcvd")
        )
      }
    }
  }

  private let methods: [String: Method]
  private let other: Method

  /// - Parameter services: everything that the server serves.
  package init(services: [ServiceDescriptor], factory: any MetricsFactory = MetricsSystem.factory) {
    var methods: [String: Method] = [:]
    for service in services {
      for method in service.methods {
        let name = "\(service.name)/\(method)"
        methods["/" + name] = Method(name: name, factory: factory)
      }
    }
    self.methods = methods
    other = Method(name: "other", factory: factory)
  }

  /// A call began.
  ///
  /// - Returns: what its end is to be told to.
  func started(path: String) -> Method {
    let method = methods[path] ?? other
    method.started.increment()
    return method
  }
}

extension CallMetrics.Method {
  func ended(_ code: StatusCode, nanoseconds: Int64, sent: Int, received: Int) {
    let instruments = byStatus[code]
    instruments.duration.recordNanoseconds(nanoseconds)
    instruments.sent.record(sent)
    instruments.received.record(received)
  }
}

/// Instruments that have the status of a call as a label: made when a status is first seen, so that a backend shows no
/// figures for what never happened.
final class PerStatus<Instruments: Sendable>: Sendable {
  private let make: @Sendable (StatusCode) -> Instruments
  private let made = Mutex<[Instruments?]>(Array(repeating: nil, count: StatusCode.allCases.count))

  init(make: @escaping @Sendable (StatusCode) -> Instruments) { self.make = make }

  subscript(code: StatusCode) -> Instruments {
    made.withLock { made in
      if let known = made[code.rawValue] { return known }
      let new = make(code)
      made[code.rawValue] = new
      return new
    }
  }
}
