internal import DiskTestSupport
internal import EmbeddedEngine
internal import Testing

/// A workload runs once on a disk that logs all writes and syncs. Then the power is cut at many places of that log: the
/// disk keeps what was synced, and any part of the rest.
@Suite("Power cuts") struct PowerLossTests {
  /// `CLINICAVOICE_POWER_CUTS` is for the encrypted store; the others get fewer.
  private static let cuts = longForm("CLINICAVOICE_POWER_CUTS", or: 20)

  @Test("what was acknowledged before the cut is there, nothing else is, and the store goes on", arguments: [1])
  func encrypted(seed: UInt64) async throws {
    let run = try RecordedRun(keyRing: Ledger.ring(1))
    try await run.open { try await $0.write(1...20) }
    try await run.open { try await $0.write(21...30) }
    try await run.cut(Self.cuts, seed: seed)
  }

  @Test("the same without encryption", arguments: [2])
  func plain(seed: UInt64) async throws {
    let run = try RecordedRun(keyRing: nil)
    try await run.open { try await $0.write(1...20) }
    try await run.cut(Self.cuts / 4, seed: seed)
  }

  @Test(
    "the same while the store is encrypted anew; and the old key is needed no more once that is said", arguments: [3])
  func rekey(seed: UInt64) async throws {
    let run = try RecordedRun(keyRing: Ledger.ring(1))
    try await run.open { try await $0.write(1...10) }
    run.keyRing = try Ledger.ring(1, 2)
    try await run.open { session in
      async let writing: Void = session.write(11...20)
      let keys = try await session.store.rekey().map(\.id)
      #expect(keys == [2])
      try await writing
    }
    run.keyRing = try Ledger.ring(1, 2, 3)
    try await run.open { session in
      try await session.write(21...22)
      let keys = try await session.store.rekey().map(\.id)
      #expect(keys == [3])
      run.enough = (run.disk.position, try Ledger.ring(3))
    }
    try await run.cut(Self.cuts / 2, seed: seed)
  }

  @Test("the old key is needed no more though a crash had left its frames in the WAL", arguments: [4])
  func rekeyAfterCrash(seed: UInt64) async throws {
    let first = try RecordedRun(keyRing: Ledger.ring(1))
    try await first.open { try await $0.write(1...3) }
    let crash = try #require(first.acknowledged.withLock { $0.map(\.position).max() })
    let run = try RecordedRun(after: first, cutAt: crash, keyRing: Ledger.ring(1, 2))
    try await run.open { session in
      let before = try await session.store.keysInUse().first { $0.id == 1 }
      #expect(before?.frames ?? 0 > 0)
      try await session.store.rekey()
      run.enough = (run.disk.position, try Ledger.ring(2))
      try await run.check(run.disk.position, .nothing)
    }
    try await run.cut(Self.cuts / 2, seed: seed)
  }
}
