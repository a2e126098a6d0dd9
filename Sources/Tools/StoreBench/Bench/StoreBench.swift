internal import ArgumentParser
internal import BenchFigures
internal import CSyncCounter
internal import EmbeddedEngine
internal import Foundation
internal import Storage

@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store-bench", abstract: "Measure the embedded store and its archive.",
    subcommands: [StoreBench.self, RestoreBench.self], defaultSubcommand: StoreBench.self)
}

/// Measures the embedded store against plain SQLite, encryption against none, readers beside writers, and a large store
/// against a small one. `deploy/bench store` runs it.
struct StoreBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store", abstract: "Measure the embedded store (the default).",
    discussion: "Prints medians with the least and the greatest value. Exits with 1 if a goal is missed.")

  @Option(help: ArgumentHelp("An empty directory on the disk to measure.", valueName: "directory"))
  var directory: String
  @Option(help: "Patients of the large store.")
  var rows = 1_000_000
  @Option(help: "Creates of each run.")
  var creates = 2000
  @Option(help: "Creates that wait for an answer at the same time.")
  var inFlight = 64
  @Option(help: "Runs of creates of each kind, in alternation.")
  var turns = 15
  @Option(help: "Runs of everything else of each kind, in alternation.")
  var rounds = 5
  @Option(help: "Reads that arrive each second.")
  var readsPerSecond = 2000
  @Option(help: "Seconds of each run at a fixed rate of reads.")
  var seconds = 5.0
  @Option(help: "Goal: syncs for each create.")
  var maxSyncsPerCreate = 0.0625
  @Option(help: "Goal: the rate of creates, in clear, as a part of plain SQLite's.")
  var minPlainRatio = 0.7
  @Option(help: "Goal: the part of the rate that encryption costs.")
  var maxEncryptionCost = 0.25
  @Option(help: "Goal: p99 of reads beside writers at 70 % by p99 alone, all the time and in steady time.")
  var maxReadRatio = 3.0
  @Option(help: "Goal: cost of a read and of a page in the large store as a multiple of that in one of 1,000 patients.")
  var maxSizeRatio: Double?

  private static let smallRows = 1000

  func run() async throws {
    try check()
    var report = Report()
    try await compareCreates(&report)
    if rows > 0 {
      let place = path("large")
      report.line("\nfilling a store with \(rows) patients")
      let start = monotonic_nanoseconds()
      let store = try await EmbeddedStore.open(place, encrypted: true)
      let keys = try await store.fill(clinicians: rows / Self.smallRows, patientsEach: Self.smallRows)
      report.line(
        "  \((Double(monotonic_nanoseconds() - start) / 1e9).short) s, \((try size(of: place) / 1e9).short) GB")
      try await compareReads(store, keys, &report)
      try await compareSizes(store, keys, &report)
      try await store.close()
      try FileManager.default.removeItem(atPath: place)
    }
    report.line()
    guard report.missed.isEmpty else {
      report.line("missed: \(report.missed.joined(separator: "; "))")
      throw ExitCode(1)
    }
    report.line("every goal is met")
  }

  private func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Everything that would make figures of a run wrong, before it begins.
  private func check() throws {
    guard turns > 0, rounds > 0, creates > 0, inFlight > 0, readsPerSecond > 0, seconds > 0,
      rows == 0 || rows >= Self.smallRows
    else { throw ValidationError("Counts must be positive, --rows 0 or at least \(Self.smallRows).") }
    // The first of the quarter seconds follows none, and a slow moment is eight reads of one.
    guard seconds >= 0.5, (100...1_000_000).contains(readsPerSecond) else {
      throw ValidationError("--seconds must be at least 0.5, and --reads-per-second 100 to 1,000,000.")
    }
    // As measured: 3.3 KB a patient with its indexes and its record in the journal, and the WAL.
    let needed = Double(rows) * 5000 + Double(creates * turns) * 20_000 + 500e6
    let values = try FileManager.default.attributesOfFileSystem(forPath: directory)
    let free = (values[.systemFreeSize] as? NSNumber)?.doubleValue ?? 0
    guard free > needed else {
      throw ValidationError(
        "\(directory) has \((free / 1e9).short) GB free, \((needed / 1e9).short) GB are needed; see --rows.")
    }
    let (place, before) = (path("check"), sync_count())
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    try PlainDatabase(place + "/check.sqlite").run("CREATE TABLE t (n)")
    try FileManager.default.removeItem(atPath: place)
    guard sync_count() > before else { throw ValidationError("Syncs are not counted here.") }
  }

  private func size(of directory: String) throws -> Double {
    try FileManager.default.contentsOfDirectory(atPath: directory).reduce(0) { total, name in
      let values = try FileManager.default.attributesOfItem(atPath: directory + "/" + name)
      return total + ((values[.size] as? NSNumber)?.doubleValue ?? 0)
    }
  }
}

// MARK: - Parts

extension StoreBench {
  /// The store in clear, plain SQLite with the same rows in the same groups, and the encrypted store, in turns.
  private func compareCreates(_ report: inout Report) async throws {
    report.line("\(turns) turns of \(creates) creates, \(inFlight) in flight")
    let place = path("creates")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    let groups = GroupSizes()
    let store = try await EmbeddedStore.open(place + "/clear", encrypted: false, groups: groups)
    let encryptedStore = try await EmbeddedStore.open(place + "/encrypted", encrypted: true)
    let (source, database) = (
      try PlainDatabase(place + "/clear/store.sqlite"), try PlainDatabase(place + "/plain.sqlite")
    )
    try database.copySchema(of: source)
    var patients = Patients(clinicians: 100, seed: 1)
    var (clear, plain, encrypted): ([CreateFigures], [CreateFigures], [CreateFigures]) = ([], [], [])
    for turn in 0..<turns {
      let transactions = (0..<creates).map { _ in patients.create() }
      clear.append(try await store.create(transactions, inFlight: inFlight))
      let rows = try StoredRows(source, after: turn * creates)
      plain.append(try await database.insert(rows, groups: groups.take()))
      encrypted.append(try await encryptedStore.create(transactions, inFlight: inFlight))
    }
    try await store.close()
    try await encryptedStore.close()
    try FileManager.default.removeItem(atPath: place)
    for (name, runs) in [("store", clear), ("plain SQLite", plain), ("store, encrypted", encrypted)] {
      report.line(
        """
          \(name): \(runs.map(\.rate).summary) creates/s, \(runs.map(\.perSync).summary) a sync, \
        \(runs.map(\.cpuMicros).summary) CPU-µs each
        """)
    }
    report.goal(
      "syncs for each create", (clear + encrypted).map { 1 / $0.perSync }, atMost: maxSyncsPerCreate)
    report.goal(
      "rate against plain SQLite", zip(clear, plain).map { $0.rate / $1.rate }, atLeast: minPlainRatio)
    report.line("  the same, encrypted: \(zip(encrypted, plain).map { $0.rate / $1.rate }.summary)")
    report.goal(
      "cost of encryption", zip(clear, encrypted).map { 1 - $1.rate / $0.rate }, atMost: maxEncryptionCost)
  }

  /// Single reads at a fixed rate, beside writers at 70 % of what they can do for just as long, and alone, in turns.
  ///
  /// What is possible is measured in each round: it changes with the host, and a short run would not pay for the
  /// checkpoints that it causes.
  private func compareReads(_ store: EmbeddedStore, _ keys: [ItemKey], _ report: inout Report) async throws {
    var patients = Patients(clinicians: rows / Self.smallRows, seed: 2)
    report.line(
      """
      \n\(readsPerSecond) reads/s for \(seconds.short) s, beside creates at 70 % of what is possible and alone; \
      \(rounds) rounds
      """)
    let trial = (0..<3 * creates).map { _ in patients.create() }
    var capacity = try await store.create(trial, inFlight: inFlight).rate
    var (alone, beside): ([TimedReads], [TimedReads]) = ([], [])
    var (possible, writers): ([Double], [Double]) = ([], [])
    for _ in 1...rounds {
      let most = (0..<Int(capacity * seconds)).map { _ in patients.create() }
      capacity = try await store.create(most, inFlight: inFlight).rate
      possible.append(capacity)
      let rate = 0.7 * capacity
      let transactions = (0..<Int(rate * seconds)).map { _ in patients.create() }
      async let writing = store.creates(transactions, perSecond: rate)
      beside.append(try await store.reads(of: keys, perSecond: readsPerSecond, seconds: seconds))
      writers.append(try await writing.rate)
      // What the checkpointer and the kernel still have to write is no part of being alone.
      try await Task.sleep(for: .seconds(2))
      alone.append(try await store.reads(of: keys, perSecond: readsPerSecond, seconds: seconds))
    }
    let kinds = [("alone", alone), ("beside", beside)]
    for (name, runs) in kinds {
      let late = runs.map { $0.lateness.micros(0.99) }.summary
      report.line("  \(name): \(quantiles(runs, \.latencies)) µs; p99 of late wake-ups \(late) µs")
    }
    for (name, runs) in kinds {
      report.line("  \(name), steady: \(quantiles(runs, \.steady)) µs; \(runs.map(\.steadyPart).summary) of the time")
    }
    report.line("  writers: \(writers.summary) creates/s of \(possible.summary)")
    let ratios = { (latencies: KeyPath<TimedReads, Latencies>) in
      zip(alone, beside).map { $1[keyPath: latencies].micros(0.99) / $0[keyPath: latencies].micros(0.99) }
    }
    report.goal("p99 beside writers against alone, all the time", ratios(\.latencies), atMost: maxReadRatio)
    report.goal("p99 beside writers against alone, steady", ratios(\.steady), atMost: maxReadRatio)
    if (alone + beside).contains(where: { $0.steadyPart == 0 }) {
      report.line("  no figure: a run had no two steady quarter seconds in a row; run again, or with more --seconds")
    }
  }

  private func quantiles(_ runs: [TimedReads], _ latencies: KeyPath<TimedReads, Latencies>) -> String {
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { label, quantile in
      "\(label) \(runs.map { $0[keyPath: latencies].micros(quantile) }.summary)"
    }.joined(separator: ", ")
  }

  /// A read, a page and a create in a store of 1,000 patients and in the large one, in turns.
  private func compareSizes(_ large: EmbeddedStore, _ keys: [ItemKey], _ report: inout Report) async throws {
    report.line("\nprocessor time with \(Self.smallRows) and with \(rows) patients, \(rounds) rounds")
    var (small, big): ([SizeFigures], [SizeFigures]) = ([], [])
    for round in 1...rounds {
      let place = path("small-\(round)")
      let store = try await EmbeddedStore.open(place, encrypted: true)
      let few = try await store.fill(clinicians: 1, patientsEach: Self.smallRows)
      small.append(try await sizeFigures(store, few, clinicians: 1, seed: UInt64(10 + round)))
      try await store.close()
      try FileManager.default.removeItem(atPath: place)
      big.append(
        try await sizeFigures(large, keys, clinicians: rows / Self.smallRows, seed: UInt64(100 + round)))
    }
    for (name, figure) in SizeFigures.all {
      let (few, many) = (small.map { $0[keyPath: figure] }, big.map { $0[keyPath: figure] })
      report.line("  \(name): \(few.summary) and \(many.summary) µs")
      let ratios = zip(few, many).map { $1 / $0 }
      // A create changes some seven pages of its own in a large store, and shares them with others in a small one.
      if figure == \.create {
        report.line("  \(name), large against small: \(ratios.summary)")
      } else {
        report.goal("\(name), large against small", ratios, atMost: maxSizeRatio)
      }
    }
  }

  private struct SizeFigures {
    var get: Double
    var page: Double
    var create: Double

    static var all: [(String, KeyPath<SizeFigures, Double>)] {
      [("Get", \.get), ("page of 50 by index", \.page), ("create", \.create)]
    }
  }

  private func sizeFigures(
    _ store: EmbeddedStore, _ keys: [ItemKey], clinicians: Int, seed: UInt64
  ) async throws -> SizeFigures {
    var patients = Patients(clinicians: clinicians, seed: seed)
    let transactions = (0..<Self.smallRows).map { _ in patients.create() }
    let users = (0..<500).map { _ in patients.clinician() }
    let read: @Sendable (Int) async throws -> Void = { index in
      _ = try await store.get(keys[(index &* 7919) % keys.count], from: Patients.table)
    }
    let list: @Sendable (Int) async throws -> Void = { index in
      let page = try await store.query(
        Query(Patients.table, index: "name-index", partition: users[index % users.count], limit: 50))
      guard page.items.count == 50 else { throw PlainDatabase.Failure(description: "a page is not full") }
    }
    _ = try await store.cpuMicros(500, read)
    return SizeFigures(
      get: try await store.cpuMicros(10_000, read), page: try await store.cpuMicros(500, list),
      create: try await store.create(transactions, inFlight: inFlight).cpuMicros)
  }
}
