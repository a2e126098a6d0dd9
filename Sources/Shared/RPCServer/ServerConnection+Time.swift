internal import HTTP2
internal import NIOCore
internal import RPC

// What a connection does because of the time, or because its peer takes too much.
extension ServerConnection {
  /// One timer serves the policy and the deadlines of all calls: it is set to the earliest of them, and looks again when
  /// it fires. A call that ends before its deadline costs nothing.
  func rearmTimer() {
    guard let channel, !isClosed else { return }
    var next = policy.nextDeadline
    for stream in session.liveStreams {
      if let deadline = call(of: stream)?.deadline { next = min(next, deadline) }
    }
    arm(next, on: channel.eventLoop)
  }

  /// As ``rearmTimer()`` where no call's deadline is new.
  func armTimer() {
    guard let channel, !isClosed else { return }
    arm(policy.nextDeadline, on: channel.eventLoop)
  }

  private func arm(_ deadline: NIODeadline, on eventLoop: any EventLoop) {
    if let timerDeadline, timerDeadline <= deadline, timer != nil { return }
    timer?.cancel()
    timerDeadline = deadline
    timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerFired() }
  }

  private func timerFired() {
    timer = nil
    timerDeadline = nil
    batchTime = nil
    let now = now()
    for stream in session.liveStreams {
      if let call = call(of: stream), let deadline = call.deadline, deadline <= now {
        call.fail(RPCError(.deadlineExceeded, "The deadline passed before the call was done."))
      }
    }
    while let action = policy.tick(now: now), !isClosed { perform(action) }
    rearmTimer()
    flush()
  }

  func perform(_ action: ConnectionPolicy.Action?) {
    switch action {
    case nil: break
    case .sendKeepalivePing:
      session.ping(Self.keepalivePing)
      needsFlush()
    case .beginDrain(let reason): beginDrain(grace: policy.drainGrace, reason: reason)
    case .finishDrain:
      session.finishShutdown()
      needsFlush()
    case .exceeded(let budget): refuse(budget)
    case .checkStalls: checkStalls()
    case .close(let reason): fail(reason)
    }
  }

  /// GOAWAY(ENHANCE_YOUR_CALM), then the end.
  func refuse(_ budget: ServerBudget) {
    guard !isClosed else { return }
    shared.trips.connectionEnded(by: budget, peer: peer.address)
    session.goAway(.enhanceYourCalm, debugData: budget.rawValue)
    fail(budget.rawValue)
  }

  /// Gives up calls whose caller does not read, so that what they hold is freed.
  private func checkStalls() {
    for stream in session.stalledStreams(minBytes: policy.minStallBytes) {
      shared.trips.tripped(.streamStall, peer: peer.address, now: now())
      session.reset(stream, .enhanceYourCalm)
      call(of: stream)?.abandon(RPCError(.cancelled, "The caller does not read its response."))
    }
    policy.outputWaits(session.bufferedBytes > 0, now: now())
    needsFlush()
  }

  func beginDrain(grace: TimeAmount?, reason: String) {
    guard !isClosed else { return }
    shared.logger.debug("connection drains", metadata: ["peer": "\(peer.address)", "reason": "\(reason)"])
    if policy.drainBegan(grace: grace, now: now()) {
      session.beginShutdown()
      session.ping(Self.drainPing)
      needsFlush()
    }
    rearmTimer()
  }
}
