internal import DiskTestSupport
internal import EmbeddedEngine
internal import EncryptedStorage
internal import Foundation
internal import GRDBSQLite
internal import Testing

/// Every call for IO fails in its turn while a store is opened, written, read and closed. No answer is wrong, nothing
/// crashes, the status is clear, and a store that is opened anew has all that was acknowledged.
///
/// `CLINICAVOICE_IO_FAULTS=all` takes each call; otherwise each thirteenth from a place that differs from test to test.
@Suite("Faults of every call") struct IOFaultTests {
  static let isLong = ProcessInfo.processInfo.environment["CLINICAVOICE_IO_FAULTS"] == "all"

  /// The numbers to fail among `count` calls.
  static func numbers(_ count: Int, every step: Int = 13, from start: Int) -> StrideThrough<Int> {
    isLong ? stride(from: 1, through: count, by: 1) : stride(from: start, through: count, by: step)
  }

  /// Power cuts after one fault.
  static var seeds: Range<UInt64> { 0..<(isLong ? 8 : 2) }

  /// How many calls of a kind a run without faults makes.
  private static func count(_ calls: FaultyDisk.Calls, keyRing: KeyRing?) async throws -> Int {
    let scenario = try FaultScenario(keyRing: keyRing, "without faults")
    scenario.disk.heal()
    #expect(await scenario.open())
    await scenario.work()
    #expect(scenario.possible.count == 1)
    await scenario.close()
    let count = scenario.disk.count(calls)
    try await scenario.checkReopened()
    return count
  }

  @Test("one call fails", arguments: [true, false])
  func once(isEncrypted: Bool) async throws {
    let keyRing = isEncrypted ? try Ledger.ring(1) : nil
    let count = try await Self.count(.all, keyRing: keyRing)
    #expect(count > 300)
    for number in Self.numbers(count, from: isEncrypted ? 1 : 2) {
      let scenario = try FaultScenario(keyRing: keyRing, "call \(number) of \(count)")
      scenario.disk.fail(.all, number: number)
      if await scenario.open() {
        await scenario.work()
        await scenario.close()
      }
      try await scenario.checkReopened()
    }
  }

  @Test("all calls fail from one on", arguments: [true, false])
  func persistently(isEncrypted: Bool) async throws {
    let keyRing = isEncrypted ? try Ledger.ring(1) : nil
    let count = try await Self.count(.all, keyRing: keyRing)
    for number in Self.numbers(count, from: isEncrypted ? 3 : 4) {
      let scenario = try FaultScenario(keyRing: keyRing, "calls from \(number) of \(count) on")
      scenario.disk.fail(.all, number: number, persistently: true)
      if await scenario.open() {
        await scenario.work()
        await scenario.close()
      }
      try await scenario.checkReopened()
    }
  }

  @Test("a write stops half-way")
  func torn() async throws {
    let keyRing = try Ledger.ring(1)
    let count = try await Self.count(.writes, keyRing: keyRing)
    for number in Self.numbers(count, from: 5) {
      let scenario = try FaultScenario(keyRing: keyRing, "write \(number) of \(count)")
      scenario.disk.fail(.writes, number: number, torn: true)
      if await scenario.open() {
        await scenario.work()
        await scenario.close()
      }
      try await scenario.checkAfterPowerCut(.some(seed: UInt64(number)))
      try await scenario.checkReopened()
    }
  }

  @Test("a full disk suspends the store, which goes on when there is room")
  func full() async throws {
    let keyRing = try Ledger.ring(1)
    let count = try await Self.count(.writes, keyRing: keyRing)
    for number in Self.numbers(count, from: 6) {
      let scenario = try FaultScenario(keyRing: keyRing, "full from write \(number) of \(count) on")
      scenario.disk.fail(.writes, number: number, persistently: true, code: SQLITE_FULL, torn: number % 2 == 0)
      if await scenario.open() {
        await scenario.work()
        if case .unavailable = scenario.lastRefusal {
          #expect(scenario.store?.status == .suspended("the disk is full"), scenario.remark)
        }
        scenario.disk.heal()
        await scenario.write([scenario.put("a", 11)])
        #expect(scenario.lastRefusal == nil, scenario.remark)
        #expect(scenario.store?.status == .serving, scenario.remark)
        await scenario.close()
      }
      try await scenario.checkReopened()
    }
  }

  @Test("a sync that fails ends in a failed store that syncs no more, and what a power cut then leaves has all acks")
  func sync() async throws {
    let keyRing = try Ledger.ring(1)
    let count = try await Self.count(.syncs, keyRing: keyRing)
    #expect(count > 15)
    for number in 1...count {
      let scenario = try FaultScenario(keyRing: keyRing, "sync \(number) of \(count)")
      scenario.disk.fail(.syncs, number: number)
      if await scenario.open() {
        await scenario.work()
        if scenario.disk.failed.contains(.syncs) {
          let status = try #require(scenario.store?.status)
          #expect(status.isFailed, "\(status), \(scenario.remark)")
          await scenario.close()
          // The other of the two threads that sync, writer and checkpointer, may be in the middle of its own.
          #expect((number...number + 2).contains(scenario.disk.count(.syncs)), scenario.remark)
        }
        await scenario.close()
      }
      for seed in Self.seeds { try await scenario.checkAfterPowerCut(.some(seed: seed << 8 + UInt64(number))) }
      // The kernel takes for written what that sync was for; opening the store anew must not.
      let position = try await scenario.checkReopened()
      for seed in Self.seeds {
        try await scenario.checkAfterPowerCut(at: position, .some(seed: seed << 8 + UInt64(number)))
      }
    }
  }
}

extension EmbeddedStore.Status {
  var isFailed: Bool { if case .failed = self { true } else { false } }
}
