@testable import EncryptedStorage
internal import Testing

@testable import Lifecycle

@Suite("What a rekey says")
struct RekeyReportsTests {
  typealias Use = EncryptedVFS.KeyUse

  private func progress(_ pages: UInt32) -> EncryptedVFS.RekeyProgress {
    .init(pages: pages, total: 1000, rewritten: 7)
  }

  @Test("how far it is, once a second and at the end")
  func lines() {
    let start = ContinuousClock.now
    let reports = RekeyReports()
    func line(_ pages: UInt32, after milliseconds: Int, isLast: Bool = false) -> String? {
      reports.line(for: progress(pages), isLast: isLast, now: start + .milliseconds(milliseconds))
    }
    #expect(line(1, after: 0) == "1 of 1000 pages, 7 of them encrypted anew")
    #expect(line(2, after: 999) == nil)
    #expect(line(3, after: 1000) == "3 of 1000 pages, 7 of them encrypted anew")
    #expect(line(4, after: 1999) == nil)
    #expect(line(5, after: 1999, isLast: true) != nil)
    #expect(line(1000, after: 2000) == "1000 of 1000 pages, 7 of them encrypted anew")
  }

  @Test(
    "which keys are still needed",
    arguments: [
      (
        [Use(id: 2, pages: 1234, frames: 0)], [1, 2],
        "all 1234 pages and 0 WAL frames are under key 2; key 1 is no longer needed by this store"
      ),
      ([Use(id: 1, pages: 3, frames: 4)], [1], "all 3 pages and 4 WAL frames are under key 1"),
      (
        [Use(id: 1, pages: 5, frames: 6), Use(id: 3, pages: 7, frames: 0)], [1, 2, 3],
        """
        7 pages and 0 WAL frames are under key 3; 5 pages and 6 WAL frames are still under key 1, which this store \
        needs; key 2 is no longer needed by this store
        """
      ),
    ] as [([Use], [UInt32], String)])
  func summary(uses: [Use], keys: [UInt32], text: String) {
    #expect(RekeyReports.summary(uses, keys: keys) == text)
  }
}
