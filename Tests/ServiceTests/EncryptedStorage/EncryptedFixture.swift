internal import DiskTestSupport
internal import EncryptedStorage
internal import Foundation
internal import GRDB

/// A directory with one encrypted database, removed with it.
final class EncryptedFixture {
  /// Stands for what must never be on a disk.
  static let secret = "Ada-Lovelace-MRN-815"
  static let pageLength = 4096
  static let trailerLength = 48
  static let frameLength = 24 + 4096
  static let walHeaderLength = 32

  let directory: String
  let vfs: EncryptedVFS
  var path: String { directory + "/store.sqlite" }
  var walPath: String { path + "-wal" }

  /// A ring with the keys of these ids; the key of an id is always the same.
  static func ring(_ ids: UInt32...) throws -> KeyRing {
    var text = Array(ids.map { "\($0):\(hex($0))" }.joined(separator: "\n").utf8)
    return try KeyRing(parsing: &text)
  }

  static func hex(_ id: UInt32) -> String { String(repeating: String(format: "%08x", id &* 2_654_435_761), count: 8) }

  init(_ keyRing: KeyRing? = nil, over disk: FaultyDisk? = nil) throws {
    directory = FileManager.default.temporaryDirectory.path + "/encrypted-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    vfs = try EncryptedVFS(keyRing: try keyRing ?? Self.ring(1), over: disk?.name)
  }

  /// The files of `other` as they are now, as a crash or a copy of a live store would find them.
  convenience init(copying other: EncryptedFixture, _ keyRing: KeyRing? = nil) throws {
    try self.init(keyRing ?? other.vfs.keyRing)
    for suffix in ["", "-wal", "-rekey"] where FileManager.default.fileExists(atPath: other.path + suffix) {
      try FileManager.default.copyItem(atPath: other.path + suffix, toPath: path + suffix)
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func pool(_ prepare: @escaping @Sendable (Database) throws -> Void = { _ in }) throws -> DatabasePool {
    var configuration = Configuration()
    configuration.busyMode = .timeout(30)
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
      try prepare(database)
    }
    return try DatabasePool(path: vfs.uri(databaseAt: path), configuration: configuration)
  }

  /// Opens, runs `body`, closes; closing the last connection checkpoints and deletes the WAL.
  func withPool<Value>(_ body: (DatabasePool) throws -> Value) throws -> Value {
    let pool = try pool()
    defer { try? pool.close() }
    return try body(pool)
  }

  // What the tests store: rows whose content follows from their number.

  static func create(_ pool: DatabasePool) throws {
    try pool.write { try $0.execute(sql: "CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL)") }
  }

  static func text(_ id: Int) -> String { "\(secret)-\(id)-" + String(repeating: "\(id % 10)", count: 300) }

  static func insert(_ ids: some Sequence<Int>, into pool: DatabasePool) throws {
    try pool.write { database in
      for id in ids { try database.execute(sql: "INSERT INTO item VALUES (?, ?)", arguments: [id, text(id)]) }
    }
  }

  /// The numbers of the rows; fails unless every row is what was inserted and SQLite finds the file sound.
  static func readAll(_ pool: DatabasePool) throws -> [Int] {
    try pool.read { database in
      let rows = try Row.fetchAll(database, sql: "SELECT id, text FROM item ORDER BY id")
      for row in rows where row["text"] as String != text(row["id"]) { throw WrongAnswer() }
      let verdict = try String.fetchOne(database, sql: "PRAGMA integrity_check")
      if verdict != "ok" { throw WrongAnswer() }
      return rows.map { $0["id"] }
    }
  }

  struct WrongAnswer: Error {}

  // Files

  func read(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
  func write(_ data: Data, _ path: String) throws { try data.write(to: URL(fileURLWithPath: path)) }

  /// Changes the database file behind SQLite's back.
  func alter(_ change: (inout Data) -> Void) throws {
    var data = try read(path)
    change(&data)
    try write(data, path)
  }

  var walLength: Int {
    get throws { (try FileManager.default.attributesOfItem(atPath: walPath)[.size] as? Int) ?? 0 }
  }

  var pageCount: Int { get throws { try read(path).count / Self.pageLength - 1 } }

  static func range(ofPage page: Int) -> Range<Int> { page * pageLength..<(page + 1) * pageLength }
}
