package import Logging
package import NIOCore
internal import Synchronization

/// What a server holds against its peers. The raw value is the name in logs, counters and a GOAWAY's debug data.
package enum ServerBudget: String, Sendable, CaseIterable {
  // The connection ends.
  case handshakeTime = "handshake_timeout"
  case headerBlockTime = "header_block_timeout"
  case connectionStall = "connection_stalled"
  case pings = "too_many_pings"
  case resets = "too_many_resets"
  case startedResets = "too_many_started_resets"
  case provokedResets = "too_many_provoked_resets"
  case settings = "too_many_settings"
  case emptyData = "too_many_empty_data_frames"
  case refusedStreams = "too_many_refused_streams"
  case oversizedHeaders = "too_many_oversized_headers"
  case continuations = "too_many_continuations"
  case decodedHeaders = "too_large_decoded_headers"
  case unsentFrames = "too_many_unsent_frames"
  // A call ends.
  case streamStall = "stream_stalled"
  case bufferedBytes = "too_many_buffered_bytes"
  case callsInFlight = "too_many_calls"
  // A connection is not taken.
  case connections = "too_many_connections"
  case descriptors = "no_descriptors"
}

/// Counts what tripped a budget, and logs it: once per connection that ends by it, and otherwise once in a while, with
/// the number, since whoever trips one may do so a million times.
package final class BudgetTrips: Sendable {
  private struct Entry {
    var count = 0
    var countAtLastLog = 0
    var lastLog: NIODeadline?
  }

  private let entries = Mutex<[ServerBudget: Entry]>([:])
  private let logger: Logger
  private let onTrip: @Sendable (ServerBudget) -> Void
  package static let logInterval: TimeAmount = .seconds(10)

  /// - Parameter onTrip: told each time, for a count that others can read.
  package init(logger: Logger, onTrip: @escaping @Sendable (ServerBudget) -> Void = { _ in }) {
    self.logger = logger
    self.onTrip = onTrip
  }

  /// How often each budget was exceeded since the server was made.
  package var counts: [ServerBudget: Int] { entries.withLock { $0.mapValues(\.count) } }

  package func connectionEnded(by budget: ServerBudget, peer: String) {
    entries.withLock { $0[budget, default: Entry()].count += 1 }
    onTrip(budget)
    logger.notice("a connection exceeds a budget", metadata: ["peer": "\(peer)", "budget": "\(budget.rawValue)"])
  }

  package func tripped(_ budget: ServerBudget, peer: String, now: NIODeadline) {
    let number: Int? = entries.withLock { entries in
      entries[budget, default: Entry()].count += 1
      guard var entry = entries[budget], entry.lastLog.map({ now >= $0 + Self.logInterval }) ?? true else { return nil }
      defer { entries[budget] = entry }
      let number = entry.count - entry.countAtLastLog
      entry.lastLog = now
      entry.countAtLastLog = entry.count
      return number
    }
    onTrip(budget)
    guard let number else { return }
    logger.warning(
      "a budget is exceeded", metadata: ["budget": "\(budget.rawValue)", "times": "\(number)", "peer": "\(peer)"])
  }
}
