package import CivilTime
internal import Identity
package import RPC
package import StandardProtos

/// A caller's wish to follow one clinician's changes, validated.
package struct Watch<Kind: Hashable & Sendable>: Sendable {
  package let scope: ClinicianScope
  let caller: Principal.Caller
  /// `nil`: all.
  let kinds: Set<Kind>?
  let heartbeat: Duration
  let resumeToken: String
  /// What the tokens of this feed are good for.
  let binding: PageTokens.Binding

  /// - Parameters:
  ///   - scope: where a clinician's own is meant by an empty `user_id`, the tokens are the same.
  ///   - filters: the request with the clinician's id, and without token and heartbeat, which may change between calls.
  package init(
    scope: ClinicianScope, kinds: Set<Kind>? = nil, heartbeat: Duration, resumeToken: String, filters: some WireMessage,
    context: ServerContext
  ) throws(RPCError) {
    let principal = try context.principal
    self.scope = scope
    caller = principal.effectiveCaller
    self.kinds = kinds
    self.heartbeat = heartbeat
    self.resumeToken = resumeToken
    binding = try PageTokens.Binding(method: context.path, principal: principal, filters: filters)
  }
}

/// A response of a watch: changes, or none as a sign of life, and where the feed goes on after them.
package struct FeedResponse<Kind: Hashable & Sendable>: Sendable, Hashable {
  package var changes: [FeedChange<Kind>]
  package var resumeToken: String
  /// Whether there was nothing more to send at `readTime`.
  package var isCaughtUp: Bool
  package var readTime: Instant
}

extension FieldViolations {
  /// The longest silence of a watch: 30 s unless the request says something from 1 s to 10 min.
  package mutating func heartbeatInterval(
    _ requested: GoogleProtobuf.Duration?, at field: String = "heartbeat_interval"
  ) -> Duration {
    guard let requested else { return .seconds(30) }
    guard requested.isValid, (Duration.seconds(1)...Duration.seconds(600)).contains(requested.duration) else {
      add(.outOfRange, at: field, "The interval is from 1 s to 10 min.")
      return .seconds(30)
    }
    return requested.duration
  }
}
