internal import CScheduling
internal import Foundation
internal import Testing

@Suite("Time slices")
struct SliceTests {
  @Test("a thread that asks has the kernel's shortest slices, where the kernel knows slices")
  func shortSlices() async {
    let (before, after) = await withCheckedContinuation { answer in
      Thread.detachNewThread {
        let before = cs_slice()
        cs_request_short_slices()
        answer.resume(returning: (before, cs_slice()))
      }
    }
    #expect(before != 100_000)
    #expect(after == (before == 0 ? 0 : 100_000))
  }
}
