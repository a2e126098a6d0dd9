package import NIOCore

/// When a server pings a connection, and when it gives it up. Pure: events with their time in, decisions out.
///
/// Source: gRFCs A8 and A9, gRPC keepalive.md; WIRE W45–W49.
package struct ConnectionPolicy: Sendable {
  package struct Configuration: Sendable {
    /// From the connection's start, TLS included, to the client's SETTINGS acknowledgement.
    package var handshakeTimeout: TimeAmount = .seconds(10)
    /// From the first byte of a header block to its last.
    package var headerBlockTimeout: TimeAmount = .seconds(10)
    /// How long the socket may take nothing, and a call's response ``minStallBytes`` at least, while bytes wait for it:
    /// a reader slower than that is given up.
    package var stallTimeout: TimeAmount = .seconds(60)
    package var minStallBytes = 1024
    /// Silence after which the server pings.
    package var keepaliveTime: TimeAmount = .hours(2)
    /// Silence after such a ping that ends the connection.
    package var keepaliveTimeout: TimeAmount = .seconds(20)
    /// How often a client may ping while it has calls.
    package var minPingInterval: TimeAmount = .minutes(5)
    /// Whether that also holds without calls; otherwise ``minPingIntervalWithoutCalls`` does.
    package var permitPingsWithoutCalls = false
    package var minPingIntervalWithoutCalls: TimeAmount = .hours(2)
    /// Pings too early that are forgiven until HEADERS or DATA are sent.
    package var forgivenPings = 2
    /// Time without calls after which the connection is drained. `nil`: never.
    package var maxIdle: TimeAmount?
    /// Age at which the connection is drained, ± 10 %. `nil`: never.
    package var maxAge: TimeAmount?
    /// How long calls may go on once a drain by idleness or age began. `nil`: without end.
    package var drainGrace: TimeAmount?
    /// How long the answer to the drain's PING is waited for before the last GOAWAY.
    package var drainPingTimeout: TimeAmount = .seconds(1)

    package init() {}
  }

  package enum Action: Equatable, Sendable {
    case sendKeepalivePing
    case beginDrain(reason: String)
    /// The second GOAWAY is due.
    case finishDrain
    /// GOAWAY(ENHANCE_YOUR_CALM), then close.
    case exceeded(ServerBudget)
    /// Look for streams whose bytes wait; tell what was found by ``outputWaits(_:now:)``.
    case checkStalls
    case close(reason: String)
  }

  private let configuration: Configuration
  private var handshakeDeadline: NIODeadline?
  private var headerBlock: (number: Int, deadline: NIODeadline)?
  private var blockedDeadline: NIODeadline?
  private var stallCheck: NIODeadline?
  private var lastRead: NIODeadline
  private var pingDeadline: NIODeadline?
  private var idleSince: NIODeadline?
  private var ageDeadline: NIODeadline?
  private var drainPingDeadline: NIODeadline?
  private var hardEnd: NIODeadline?
  private var isDraining = false
  private var strikes = 0
  private var lastClientPing: NIODeadline?

  /// - Parameter ageJitter: between 0.9 and 1.1, random.
  package init(_ configuration: Configuration, now: NIODeadline, ageJitter: Double) {
    self.configuration = configuration
    handshakeDeadline = now + configuration.handshakeTimeout
    lastRead = now
    idleSince = now
    ageDeadline = configuration.maxAge.map { now + .nanoseconds(Int64(Double($0.nanoseconds) * ageJitter)) }
  }

  // MARK: Events

  package mutating func received(now: NIODeadline) {
    lastRead = now
    pingDeadline = nil
  }

  package mutating func handshakeCompleted() { handshakeDeadline = nil }

  /// The header block that is incomplete after a read, if one is.
  package mutating func headerBlockIsOpen(_ number: Int?, now: NIODeadline) {
    guard let number else { return headerBlock = nil }
    if headerBlock?.number != number { headerBlock = (number, now + configuration.headerBlockTimeout) }
  }

  /// The socket takes no more bytes, or takes them again.
  package mutating func outputIsBlocked(_ isBlocked: Bool, now: NIODeadline) {
    if !isBlocked {
      blockedDeadline = nil
    } else if blockedDeadline == nil {
      blockedDeadline = now + configuration.stallTimeout
    }
  }

  /// Whether bytes of responses are left after all was sent that can be sent.
  package mutating func outputWaits(_ waits: Bool, now: NIODeadline) {
    if !waits { stallCheck = nil } else if stallCheck == nil { stallCheck = now + configuration.stallTimeout }
  }

  package var minStallBytes: Int { configuration.minStallBytes }

  /// A call started, or the last one ended.
  package mutating func callsChanged(count: Int, now: NIODeadline) {
    if count > 0 { idleSince = nil } else if idleSince == nil { idleSince = now }
  }

  package mutating func sentHeadersOrData() {
    strikes = 0
    lastClientPing = nil
  }

  package mutating func clientPinged(hasCalls: Bool, now: NIODeadline) -> Action? {
    let interval =
      hasCalls || configuration.permitPingsWithoutCalls
      ? configuration.minPingInterval : configuration.minPingIntervalWithoutCalls
    defer { lastClientPing = now }
    guard let last = lastClientPing, now < last + interval else { return nil }
    strikes += 1
    return strikes > configuration.forgivenPings ? .exceeded(.pings) : nil
  }

  /// The connection is to be drained; `grace` bounds how long.
  ///
  /// - Returns: whether the first GOAWAY and its PING are to be sent, which they are once.
  package mutating func drainBegan(grace: TimeAmount?, now: NIODeadline) -> Bool {
    if let grace { hardEnd = min(hardEnd ?? .distantFuture, now + grace) }
    guard !isDraining else { return false }
    isDraining = true
    idleSince = nil
    ageDeadline = nil
    drainPingDeadline = now + configuration.drainPingTimeout
    return true
  }

  package mutating func drainPingAnswered() -> Action? {
    guard drainPingDeadline != nil else { return nil }
    drainPingDeadline = nil
    return .finishDrain
  }

  // MARK: Time

  /// When ``tick(now:)`` has something to do at the earliest.
  package var nextDeadline: NIODeadline {
    var next = pingDeadline ?? lastRead + configuration.keepaliveTime
    func consider(_ deadline: NIODeadline?) { if let deadline, deadline < next { next = deadline } }
    consider(handshakeDeadline)
    consider(headerBlock?.deadline)
    consider(blockedDeadline)
    consider(stallCheck)
    consider(ageDeadline)
    consider(drainPingDeadline)
    consider(hardEnd)
    consider(idleDeadline)
    return next
  }

  private var idleDeadline: NIODeadline? {
    guard let idleSince, let maxIdle = configuration.maxIdle else { return nil }
    return idleSince + maxIdle
  }

  package mutating func tick(now: NIODeadline) -> Action? {
    func isDue(_ deadline: NIODeadline?) -> Bool { deadline.map { $0 <= now } ?? false }
    if isDue(handshakeDeadline) { return .exceeded(.handshakeTime) }
    if isDue(headerBlock?.deadline) { return .exceeded(.headerBlockTime) }
    if isDue(blockedDeadline) { return .exceeded(.connectionStall) }
    if isDue(hardEnd) { return .close(reason: "The calls in flight outlasted the grace of the drain.") }
    if isDue(pingDeadline) { return .close(reason: "A keepalive ping was not answered.") }
    if isDue(stallCheck) {
      stallCheck = nil
      return .checkStalls
    }
    if isDue(drainPingDeadline) {
      drainPingDeadline = nil
      return .finishDrain
    }
    if !isDraining, isDue(ageDeadline) { return .beginDrain(reason: "max_age") }
    if !isDraining, isDue(idleDeadline) { return .beginDrain(reason: "max_idle") }
    if pingDeadline == nil, isDue(lastRead + configuration.keepaliveTime) {
      pingDeadline = now + configuration.keepaliveTimeout
      return .sendKeepalivePing
    }
    return nil
  }

  /// The grace of a drain that idleness or age began.
  package var drainGrace: TimeAmount? { configuration.drainGrace }
}
