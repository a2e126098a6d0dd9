import NIOCore
import RPC
import RPCClient
import Testing

@Suite struct ResolutionScheduleTests {
  private let t0 = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private func schedule(period: TimeAmount? = .seconds(60)) -> ResolutionSchedule {
    ResolutionSchedule(
      .init(period: period, minimumInterval: .seconds(5), backoff: .init(jitter: 0)), seed: 1)
  }

  @Test("names are looked up when first asked for, and then every period")
  func period() {
    var schedule = schedule()
    #expect(schedule.request(now: t0) == .resolve)
    #expect(schedule.succeeded(now: t0) == .setTimer(t0 + .seconds(60)))
    #expect(schedule.timerFired(now: t0 + .seconds(59)) == nil)
    #expect(schedule.timerFired(now: t0 + .seconds(60)) == .resolve)
    #expect(schedule.succeeded(now: t0 + .seconds(61)) == .setTimer(t0 + .seconds(121)))
  }

  @Test("a failure of a connection brings a look-up, but not sooner than the minimum interval (W53)")
  func minimumInterval() {
    var schedule = schedule(period: nil)
    _ = schedule.request(now: t0)
    #expect(schedule.succeeded(now: t0) == nil)
    #expect(schedule.request(now: t0 + .seconds(1)) == .setTimer(t0 + .seconds(5)))
    #expect(schedule.request(now: t0 + .seconds(2)) == nil)
    #expect(schedule.timerFired(now: t0 + .seconds(5)) == .resolve)
    _ = schedule.succeeded(now: t0 + .seconds(5))
    #expect(schedule.request(now: t0 + .seconds(11)) == .resolve)
  }

  @Test("asked for while one is under way, another follows it")
  func wantedAgain() {
    var schedule = schedule()
    _ = schedule.request(now: t0)
    #expect(schedule.request(now: t0) == nil)
    #expect(schedule.succeeded(now: t0 + .seconds(1)) == .setTimer(t0 + .seconds(6)))
  }

  @Test("after failures the delays grow, whoever asks meanwhile; a success begins them anew (W50)")
  func failures() {
    var schedule = schedule()
    _ = schedule.request(now: t0)
    var now = t0
    for delay in [1_000, 1_600, 2_560] as [Int64] {
      #expect(schedule.failed(now: now) == .setTimer(now + .milliseconds(delay)))
      #expect(schedule.request(now: now) == nil)
      now = now + .milliseconds(delay)
      #expect(schedule.timerFired(now: now) == .resolve)
    }
    _ = schedule.succeeded(now: now)
    #expect(schedule.request(now: now + .seconds(5)) == .resolve)
    #expect(schedule.failed(now: now) == .setTimer(now + .seconds(1)))
  }
}

@Suite struct HealthWatchStateTests {
  private let t0 = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private func state() -> HealthWatchState {
    HealthWatchState(service: "clinic", backoff: .init(jitter: 0), seed: 1)
  }

  @Test("only SERVING is healthy; the reason names service and status (W59)", arguments: [0, 2, 3, 9] as [Int32])
  func statuses(number: Int32) {
    var state = state()
    #expect(state.answered(status: 1) == .serving)
    guard case .notServing(let reason) = state.answered(status: number) else {
      Issue.record("\(number) counts as serving")
      return
    }
    #expect(reason.contains("'clinic'"))
  }

  @Test("a server without the health service counts as healthy (W59)")
  func unimplemented() {
    var state = state()
    #expect(state.ended(.unimplemented, "", now: t0) == .countsAsHealthy)
  }

  @Test("a Watch that ends is made again: at once after an answer, otherwise with growing delays (W59)")
  func again() {
    var state = state()
    var delays: [TimeAmount] = []
    for _ in 0..<3 {
      if case .watchAgain(let at, _) = state.ended(.unavailable, "gone", now: t0) { delays.append(at - t0) }
    }
    #expect(delays == [.seconds(1), .milliseconds(1600), .milliseconds(2560)])
    _ = state.answered(status: 1)
    guard case .watchAgain(let at, let reason) = state.ended(.ok, "", now: t0) else {
      Issue.record("not made again")
      return
    }
    #expect(at == t0)
    #expect(reason.contains("ended with OK"))
  }
}
