internal import Synchronization

/// Runs around every call of a channel, of whichever kind, with the same order as on a server (``ServerInterceptor``):
/// the first interceptor is the outermost. It sees the call first and its end last.
///
/// ```
/// caller -> first -> second -> channel: name, connection, attempts (retries) -> server: first -> second -> handler
/// ```
///
/// It runs once for a call, however many attempts the channel makes of it: what repeats an attempt (retry policy,
/// transparent retry, a connection that drains) is inside, and its failures are not seen. `next` returns when the caller
/// has what it asked for: the response, or, where that is a stream, when the caller's code that reads it returned.
package protocol ClientInterceptor: Sendable {
  /// Calls `next` at most once to make the call, after whatever it changes in ``ClientContext/options``; to refuse the
  /// call, throws without calling it. What `next` throws is what the caller would get: the status of the call, or on a
  /// stream whatever the caller's own code threw; how the call itself ended says ``ClientContext/code``. An error
  /// thrown here takes its place. A failure cannot be turned into a response: kept back, it reaches the caller still.
  func intercept(_ context: ClientContext, next: () async throws -> Void) async throws
}

/// What interceptors know of the call that a client makes, and what they may change about it.
///
/// One object per call, shared by its interceptors.
package final class ClientContext: Sendable {
  /// `/package.Service/Method`.
  package let path: String
  package let kind: MethodKind

  private struct State {
    var options: CallOptions
    var initialMetadata: Metadata?
    var trailingMetadata = Metadata()
    var code: StatusCode?
    var failure: RPCError?
  }
  private let state: Mutex<State>

  init(path: String, kind: MethodKind, options: CallOptions) {
    self.path = path
    self.kind = kind
    state = Mutex(State(options: options))
  }

  /// Metadata, deadline and the rest of what the call asks for. Changes count until the innermost `next`.
  package var options: CallOptions {
    get { state.withLock { $0.options } }
    set { state.withLock { $0.options = newValue } }
  }

  /// What came before the first message; empty until then, and when nothing came.
  package var initialMetadata: Metadata { state.withLock { $0.initialMetadata ?? [:] } }
  /// What came with the status; empty until ``code`` is there.
  package var trailingMetadata: Metadata { state.withLock { $0.trailingMetadata } }
  /// How the call ended; `nil` as long as it has not. CANCELLED for a stream whose reader left before its end.
  package var code: StatusCode? { state.withLock { $0.code } }
  /// The status, when it is not OK.
  package var failure: RPCError? { state.withLock { $0.failure } }

  // MARK: From the channel

  var hasBegun: Bool { state.withLock { $0.initialMetadata != nil } }

  func began(_ initialMetadata: Metadata) { state.withLock { $0.initialMetadata = initialMetadata } }

  /// The call is over; only the first end counts.
  ///
  /// - Parameter failure: `nil` for OK.
  func ended(_ failure: RPCError?, trailingMetadata: Metadata) {
    state.withLock { state in
      guard state.code == nil else { return }
      state.code = failure?.code ?? .ok
      state.failure = failure
      state.trailingMetadata = trailingMetadata
    }
  }
}

extension RPCChannel {
  /// This channel with interceptors around each call, the first outermost. Without any it is the channel itself, so
  /// that nothing is paid for them.
  package func intercepted(by interceptors: [any ClientInterceptor]) -> any RPCChannel {
    interceptors.isEmpty ? self : InterceptedChannel(channel: self, interceptors: interceptors)
  }
}
