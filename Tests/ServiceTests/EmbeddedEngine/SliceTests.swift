internal import CScheduling
internal import Foundation
internal import Testing

@Suite("Time slices")
struct SliceTests {
  /// On a thread of its own, since a slice outlives its test.
  private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { answer in Thread.detachNewThread { answer.resume(returning: body()) } }
  }

  private static func work() {
    let end = DispatchTime.now() + .nanoseconds(Int(CS_STRETCH))
    while DispatchTime.now() < end {}
  }

  @Test("a thread that asks has the kernel's shortest slices, where the kernel knows slices")
  func shortSlices() async {
    let (before, after) = await onThread {
      let before = cs_slice()
      cs_request_short_slices()
      return (before, cs_slice())
    }
    #expect(before != 100_000)
    #expect(after == (before == 0 ? 0 : 100_000))
  }

  @Test("a thread that has begun gives way after each stretch of work, with short slices; never where there are none")
  func givesWay() async {
    let (before, after, gaveWay) = await onThread {
      let before = cs_slice()
      cs_begin_giving_way()
      return (
        before, cs_slice(),
        (0..<3).map { _ in
          Self.work()
          return cs_give_way()
        }
      )
    }
    #expect(after == (before == 0 ? 0 : 100_000))
    #expect(gaveWay == Array(repeating: before != 0, count: 3))
  }

  @Test("no other thread gives way")
  func goesOn() async {
    let gaveWay = await onThread {
      cs_request_short_slices()
      Self.work()
      return cs_give_way()
    }
    #expect(!gaveWay)
  }
}
