internal import DiskTestSupport
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Testing

/// Every call for IO fails in its turn while a store is encrypted anew.
@Suite("Faults of a rekey") struct RekeyFaultTests {
  private static let batches = 20

  /// A closed store under key 1 on a disk of its own.
  private final class Store {
    let disk: FaultyDisk
    let fixture = StoreFixture()
    private let sound: FaultyDisk

    init() async throws {
      (disk, sound) = (try FaultyDisk(), try FaultyDisk())
      try disk.record()
      try await open(1) { store in
        for batch in 0..<RekeyFaultTests.batches {
          try await store.transact((0..<5).map { StoreFixture.put(StoreFixture.patient("b\(batch)-\($0)")) })
        }
      }
    }

    func open(_ keys: Int..., directory: String? = nil, _ body: (EmbeddedStore) async throws -> Void) async throws {
      var configuration = fixture.configuration()
      configuration.directory = directory ?? fixture.directory
      configuration.baseVFS = directory == nil ? disk.name : sound.name
      let ids = keys.map { "\($0):" + String(repeating: "5\($0)", count: 32) }
      var text = Array(ids.joined(separator: "\n").utf8)
      configuration.keyRing = try KeyRing(parsing: &text)
      let store = try await EmbeddedStore.open(configuration)
      try await body(store)
      try await store.close()
    }

    /// All is there, and the rekey goes on to its end.
    func check(directory: String? = nil, _ remark: Comment) async throws {
      try await open(1, 2, directory: directory) { store in
        let report = try await store.verify()
        #expect(report.problems == [] && report.items == RekeyFaultTests.batches * 5, remark)
        let keys = try await store.rekey().map(\.id)
        #expect(keys == [2], remark)
      }
      try await open(2, directory: directory) { store in
        let report = try await store.verify()
        #expect(report.problems == [] && report.items == RekeyFaultTests.batches * 5, remark)
      }
    }

    func checkAfterPowerCut(seed: UInt64, _ remark: Comment) async throws {
      let copy = StoreFixture()
      try copy.makeDirectory()
      try disk.rebuild(at: disk.position, .some(seed: seed), into: copy.directory)
      try await check(directory: copy.directory, remark)
    }
  }

  private static func count(_ calls: FaultyDisk.Calls) async throws -> Int {
    let store = try await Store()
    var count = 0
    try await store.open(1, 2) { opened in
      store.disk.heal()
      try await opened.rekey()
      count = store.disk.count(calls)
    }
    return count
  }

  @Test("a call that fails is said or harmless; nothing is lost, with or without a power cut, and the next one ends")
  func once() async throws {
    let count = try await Self.count(.all)
    #expect(count > 100)
    for number in IOFaultTests.numbers(count, every: 11, from: 1) {
      let (store, remark): (Store, Comment) = (try await Store(), "call \(number) of \(count)")
      try await store.open(1, 2) { opened in
        store.disk.fail(.all, number: number, torn: number % 2 == 0)
        _ = try? await opened.rekey()
        #expect(!store.disk.failed.contains(.syncs) || opened.status.isFailed, remark)
        store.disk.heal()
        let report = opened.status.isFailed ? nil : try await opened.verify()
        #expect(report == nil || report?.problems == [], remark)
      }
      try await store.checkAfterPowerCut(seed: UInt64(number), remark)
      try await store.check(remark)
    }
  }

  @Test("a sync that fails is the store's end, and is not made up for by one that does nothing")
  func syncs() async throws {
    let count = try await Self.count(.syncs)
    #expect(count >= 4)
    for number in 1...count {
      let (store, remark): (Store, Comment) = (try await Store(), "sync \(number) of \(count)")
      try await store.open(1, 2) { opened in
        store.disk.fail(.syncs, number: number)
        await #expect(throws: EncryptedStorageError.self, remark) { try await opened.rekey() }
        #expect(opened.status.isFailed, remark)
      }
      for seed in IOFaultTests.seeds { try await store.checkAfterPowerCut(seed: seed, remark) }
      // Goes on with the rekey, as if that sync had been done; the kernel thinks so.
      try await store.open(1, 2) { try await $0.rekey() }
      for seed in IOFaultTests.seeds { try await store.checkAfterPowerCut(seed: seed, remark) }
      try await store.check(remark)
    }
  }
}
