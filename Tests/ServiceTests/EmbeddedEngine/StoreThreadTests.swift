internal import CScheduling
@testable internal import EmbeddedEngine
internal import Foundation
internal import Testing

@Suite("Threads of a store")
struct StoreThreadTests {
  @Test(
    "the kernel knows each by its name",
    arguments: [(StoreThread.reader, "store.reader"), (.writer, "store.writer"), (.checkpointer, "store.copier")])
  func names(thread: StoreThread, name: String) async throws {
    // Often, since a thread may be running before whoever started it knows of it.
    for _ in 0..<1_000 {
      let found = await withCheckedContinuation { answer in
        thread.start {
          answer.resume(returning: try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8))
        }
      }
      #expect(found == name + "\n")
    }
  }

  @Test(
    "those that work for long give way, those that answer do not",
    arguments: [(StoreThread.reader, false), (.writer, true), (.checkpointer, true)])
  func manners(thread: StoreThread, givesWay: Bool) async throws {
    let (slice, gaveWay) = await withCheckedContinuation { answer in
      thread.start {
        let end = DispatchTime.now() + .nanoseconds(Int(CS_STRETCH))
        while DispatchTime.now() < end {}
        answer.resume(returning: (cs_slice(), cs_give_way()))
      }
    }
    #expect([0, 100_000].contains(slice))
    #expect(gaveWay == (givesWay && slice != 0))
  }
}
