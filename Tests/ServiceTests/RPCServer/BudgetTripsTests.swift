import Logging
import NIOCore
import RPCServer
import Synchronization
import Testing

@Suite("What trips a budget")
struct BudgetTripsTests {
  /// Keeps lines as `message name=value…`, names in order.
  struct Recorder: LogHandler {
    final class Lines: Sendable {
      private let lines = Mutex<[String]>([])
      func add(_ line: String) { lines.withLock { $0.append(line) } }
      var all: [String] { lines.withLock { $0 } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
      lines.add("\(event.level) \(event.message)" + fields.joined())
    }
  }

  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  @Test("what is exceeded again and again is counted each time, and logged once in ten seconds with the number")
  func calls() {
    let lines = Recorder.Lines()
    let trips = BudgetTrips(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
    for index in 0..<1000 {
      trips.tripped(.callsInFlight, peer: "a", now: Self.start + .milliseconds(Int64(index)))
    }
    #expect(trips.counts == [.callsInFlight: 1000])
    #expect(lines.all == ["warning a budget is exceeded budget=too_many_calls peer=a times=1"])
    trips.tripped(.callsInFlight, peer: "b", now: Self.start + BudgetTrips.logInterval)
    #expect(lines.all.last == "warning a budget is exceeded budget=too_many_calls peer=b times=1000")
  }

  @Test("whoever counts is told of each, also of those that are not logged")
  func told() {
    let told = Mutex<[ServerBudget]>([])
    let trips = BudgetTrips(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { budget in
      told.withLock { $0.append(budget) }
    }
    for _ in 0..<3 { trips.tripped(.callsInFlight, peer: "a", now: Self.start) }
    trips.connectionEnded(by: .pings, peer: "a")
    #expect(told.withLock { $0 } == [.callsInFlight, .callsInFlight, .callsInFlight, .pings])
  }

  @Test("a connection that ends by a budget is a line of its own")
  func connections() {
    let lines = Recorder.Lines()
    let trips = BudgetTrips(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
    trips.connectionEnded(by: .settings, peer: "a")
    trips.connectionEnded(by: .settings, peer: "b")
    #expect(trips.counts == [.settings: 2])
    #expect(lines.all.count == 2)
    #expect(lines.all.last == "notice a connection exceeds a budget budget=too_many_settings peer=b")
  }
}
