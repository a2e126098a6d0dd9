internal import HTTP2
internal import NIOCore
internal import RPC

// How requests become calls. One that cannot is a call as well, whose handler is the refusal: so it has its line in the
// log, its correlation id and its place in the metrics like any other.
extension ServerConnection {
  func receivedHeaders(_ fields: HeaderFields, on stream: HTTP2Stream, end: Bool) {
    var state = ServerCallState(maxMessageLength: shared.configuration.maxMessageLength)
    let request: ServerCallState.Request
    switch state.receivedHeaders(fields, cache: &metadataCache) {
    case .rejectHTTP(let status): return refuse(fields, on: stream, state, .http(status))
    case .reject(let error): return refuse(fields, on: stream, state, .status(error))
    case .route(let routed): request = routed
    }
    guard let path = fields.first(.path), let route = fields.withValue(of: path, { shared.router.route($0) }) else {
      let name = fields.value(.path) ?? ""
      let error = RPCError(.unimplemented, "No such method: \(name.prefix(200))")
      return refuse(fields, on: stream, state, .status(error), request)
    }
    if let limit = shared.configuration.maxCallsInFlight, shared.inFlight.count >= limit {
      shared.trips.tripped(.callsInFlight, peer: peer.address, now: now())
      let error = RPCError(
        .resourceExhausted, "The server runs \(limit) calls already (option: maxCallsInFlight).")
      return refuse(fields, on: stream, state, .status(error), request)
    }
    let deadline = request.timeout.map { now() + TimeAmount($0) }
    if let deadline, deadline <= now() {
      let error = RPCError(.deadlineExceeded, "The deadline passed before the call was started.")
      return refuse(fields, on: stream, state, .status(error), request)
    }
    state.start(route.kind, method: route.path, encoding: request.encoding)
    guard let call = makeCall(route, request, deadline: deadline, state: state, on: stream) else { return }
    if let deadline, deadline < timerDeadline ?? .distantFuture { rearmTimer() }
    switch route.kind {
    case .clientStreaming, .bidirectionalStreaming: call.start(request: nil, interceptors: shared.interceptors)
    case .unary, .serverStreaming: break
    }
    if end { requestArrived(on: stream, end: true) }
  }

  private func makeCall(
    _ route: Router.Route, _ request: ServerCallState.Request, deadline: NIODeadline?, state: ServerCallState,
    on stream: HTTP2Stream
  ) -> ServerCall? {
    guard let executor else { return nil }
    let call = ServerCall(
      context: ServerContext(
        path: route.path, requestMetadata: request.metadata, deadline: deadline, peer: peer,
        authority: request.authority),
      connection: self, stream: stream, state: state, route: route, executor: executor, limits: callLimits,
      compression: ServerCall.Compression(request), inFlight: shared.inFlight)
    stream.context = call
    callCount += 1
    if callCount == 1 { policy.callsChanged(count: callCount, now: now()) }
    return call
  }

  /// Answers what gets no handler.
  ///
  /// - Parameter request: what could be read of it, if anything could.
  private func refuse(
    _ fields: HeaderFields, on stream: HTTP2Stream, _ state: ServerCallState, _ refusal: ServerCall.Refusal,
    _ request: ServerCallState.Request? = nil
  ) {
    // A peer chooses the path: what is logged of it is bounded.
    let path = String((fields.value(.path) ?? "").prefix(200))
    let route = Router.Route(path: path, kind: .unary) { _ in throw refusal.error }
    let call = makeCall(route, request ?? ServerCallState.Request(), deadline: nil, state: state, on: stream)
    call?.refuse(refusal, observers: shared.observers)
  }

  func requestArrived(on stream: HTTP2Stream, end: Bool) {
    guard let call = call(of: stream) else {
      stream.inbound.clear()
      return
    }
    do throws(RPCError) {
      if let message = try call.requestArrived(end: end) {
        call.start(request: message, interceptors: shared.interceptors)
      }
    } catch {
      call.fail(error)
    }
  }
}
