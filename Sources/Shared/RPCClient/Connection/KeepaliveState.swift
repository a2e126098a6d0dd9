package import NIOCore

/// Whether a connection is asked for a sign of life, and when it counts as dead. Pure: the time goes in.
///
/// Counts from the last byte that arrived, never from the last PING; any byte is a sign of life, not only the PING's
/// answer. Source: gRFC A8; WIRE W47.
package struct KeepaliveState: Sendable {
  package enum Action: Sendable, Hashable {
    case check(at: NIODeadline)
    case ping(checkAt: NIODeadline)
    case giveUp
  }

  private let configuration: RPCClientConfiguration.Keepalive
  private var lastRead: NIODeadline
  private var pingSent: NIODeadline?

  package var time: TimeAmount { configuration.time }

  package init(_ configuration: RPCClientConfiguration.Keepalive, now: NIODeadline) {
    self.configuration = configuration
    lastRead = now
  }

  package mutating func bytesArrived(now: NIODeadline) {
    lastRead = now
    pingSent = nil
  }

  /// - Parameter hasCalls: whether any call is open on the connection.
  package mutating func check(now: NIODeadline, hasCalls: Bool) -> Action {
    if let pingSent {
      let limit = pingSent + configuration.timeout
      return limit <= now ? .giveUp : .check(at: limit)
    }
    let due = lastRead + configuration.time
    guard due <= now else { return .check(at: due) }
    guard hasCalls || configuration.withoutCalls else { return .check(at: now + configuration.time) }
    pingSent = now
    return .ping(checkAt: now + configuration.timeout)
  }

  /// A call begins after a long silence: whether to ping at once instead of at the next check.
  package mutating func callOpened(now: NIODeadline) -> Bool {
    guard pingSent == nil, lastRead + configuration.time <= now else { return false }
    pingSent = now
    return true
  }
}
