import StandardServices
import Testing

@Suite struct HealthStatusTests {
  @Test("the server as a whole and the named services are known, others are not (W58)")
  func known() {
    let health = HealthStatus(services: ["a.B"], initial: .serving)
    #expect(health.all == ["": .serving, "a.B": .serving])
    #expect(health.status(of: "c.D") == nil)
    health.set(.notServing, for: "c.D")
    #expect(health.status(of: "c.D") == .notServing)
  }

  @Test("a watch tells the present status at once, then changes, and repeats nothing (W58)")
  func watch() async {
    let health = HealthStatus(services: ["a.B"])
    var changes = health.changes(of: "a.B").makeAsyncIterator()
    #expect(await changes.next() == .notServing)
    health.set(.notServing, for: "a.B")
    health.set(.serving, for: "")
    health.set(.serving, for: "a.B")
    #expect(await changes.next() == .serving)
  }

  @Test("a watch of an unknown service says so and hears of it when it comes (W58)")
  func unknown() async {
    let health = HealthStatus()
    var changes = health.changes(of: "late.Service").makeAsyncIterator()
    #expect(await changes.next() == .serviceUnknown)
    health.set(.serving, for: "late.Service")
    #expect(await changes.next() == .serving)
  }

  @Test("a slow watcher sees the newest status only (W58)")
  func coalescing() async {
    let health = HealthStatus(services: ["a.B"])
    let stream = health.changes(of: "a.B")
    for _ in 0..<1_000 {
      health.set(.serving, for: "a.B")
      health.set(.notServing, for: "a.B")
    }
    health.set(.serving, for: "a.B")
    var changes = stream.makeAsyncIterator()
    #expect(await changes.next() == .serving)
  }

  @Test("a drain turns everything to NOT_SERVING, ends the watches and is final (W58)")
  func drain() async {
    let health = HealthStatus(services: ["a.B"], initial: .serving)
    var changes = health.changes(of: "a.B").makeAsyncIterator()
    #expect(await changes.next() == .serving)
    health.beginDrain()
    #expect(await changes.next() == .notServing)
    #expect(await changes.next() == nil)
    health.setAll(.serving)
    #expect(health.all == ["": .notServing, "a.B": .notServing])
    var late = health.changes(of: "a.B").makeAsyncIterator()
    #expect(await late.next() == .notServing)
    #expect(await late.next() == nil)
    #expect(health.watcherCount == 0)
  }

  @Test("a watcher that is cancelled is forgotten")
  func cancelled() async {
    let health = HealthStatus(services: ["a.B"])
    let stream = health.changes(of: "a.B")
    #expect(health.watcherCount == 1)
    let task = Task { for await _ in stream {} }
    task.cancel()
    await task.value
    #expect(health.watcherCount == 0)
  }
}
