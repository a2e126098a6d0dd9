internal import Foundation
internal import GRDB
internal import Storage

/// The format of the files, its migrations, and the catalog of tables.
enum StoreFormat {
  /// `application_id` of the database file: "CVst".
  static let applicationID: Int32 = 0x4356_7374

  /// `migrations[n]` brings format n to n + 1; each runs once, in a transaction of its own. Never edited, only added to.
  static let migrations: [@Sendable (Database) throws -> Void] = [
    { database in
      try database.execute(
        sql: """
          CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
          CREATE TABLE tables (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partition_key TEXT NOT NULL,
            sort_key TEXT NOT NULL, ttl_attribute TEXT);
          CREATE TABLE indexes (table_number INTEGER NOT NULL, name TEXT NOT NULL, partition_key TEXT NOT NULL,
            sort_key TEXT NOT NULL, PRIMARY KEY (table_number, name)) WITHOUT ROWID;
          CREATE TABLE journal (sequence INTEGER PRIMARY KEY, committed INTEGER NOT NULL, checksum INTEGER NOT NULL,
            changes BLOB NOT NULL);
          """)
    },
    // Format 2: the journal's records also say what a change replaced (``JournalRecord``). Those of format 1 stay as
    // they are; the number keeps releases away that could not read the new ones.
    { _ in },
  ]

  /// The name of the setting that tells one store's life from another's (see ``ArchiveFolder``).
  static let historySetting = "history"

  struct Prepared {
    var layouts: [TableLayout] = []
    var history = ""
  }

  /// Brings the file to this release's format and its catalog to `tables`.
  ///
  /// - Parameter beforeMigration: called once with the format found, before a file that is not new is changed.
  static func prepare(
    _ database: Database, path: String, environment: String, tables: [TableSchema],
    beforeMigration: (Int) throws -> Void
  ) throws -> Prepared {
    try migrate(database, path: path, beforeMigration)
    var prepared = Prepared()
    try database.inTransaction(.immediate) {
      try settle(environment, in: database, path: path)
      prepared.history = try history(in: database)
      for table in tables { prepared.layouts.append(try install(table, in: database, environment: environment)) }
      return .commit
    }
    return prepared
  }

  /// The tables as the file's own catalog has them, for reading a file that is left in the format it has.
  static func layouts(in database: Database) throws -> [TableLayout] {
    let environment = try String.fetchOne(database, sql: "SELECT value FROM settings WHERE name = 'environment'") ?? ""
    return try Row.fetchAll(database, sql: "SELECT * FROM tables ORDER BY number").map { table in
      let number: Int64 = table["number"]
      let indexes = try Row.fetchAll(
        database, sql: "SELECT * FROM indexes WHERE table_number = ? ORDER BY name", arguments: [number])
      let schema = TableSchema(
        name: table["name"], partitionKey: table["partition_key"], sortKey: table["sort_key"],
        indexes: indexes.map {
          IndexSchema(name: $0["name"], partitionKey: $0["partition_key"], sortKey: $0["sort_key"])
        }, timeToLiveAttribute: table["ttl_attribute"])
      return TableLayout(number: number, schema: schema, environment: environment)
    }
  }

  /// Begins a life of its own, as a restored store does.
  static func renewHistory(in database: Database) throws {
    try database.execute(sql: "DELETE FROM settings WHERE name = ?", arguments: [historySetting])
    _ = try history(in: database)
  }

  private static func history(in database: Database) throws -> String {
    let found = try String.fetchOne(
      database, sql: "SELECT value FROM settings WHERE name = ?", arguments: [historySetting])
    if let found { return found }
    let new = String(UUID().uuidString.filter { $0 != "-" }).lowercased()
    try database.execute(sql: "INSERT INTO settings VALUES (?, ?)", arguments: [historySetting, new])
    return new
  }
}

extension StoreFormat {
  private static func migrate(_ database: Database, path: String, _ beforeMigration: (Int) throws -> Void) throws {
    let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
    guard application == applicationID || (application == 0 && found == 0) else {
      throw EmbeddedStoreError.notAStore(path: path, reason: "the database was made by another program")
    }
    guard found <= migrations.count else {
      throw EmbeddedStoreError.newerFormat(path: path, found: found, supported: migrations.count)
    }
    if (1..<migrations.count).contains(found) { try beforeMigration(found) }
    for version in found..<migrations.count {
      try database.inTransaction(.immediate) {
        try migrations[version](database)
        try database.execute(sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version + 1)")
        return .commit
      }
    }
  }

  private static func settle(_ environment: String, in database: Database, path: String) throws {
    let found = try String.fetchOne(database, sql: "SELECT value FROM settings WHERE name = 'environment'")
    guard let found else {
      return try database.execute(
        sql: "INSERT INTO settings VALUES ('environment', ?)", arguments: [environment])
    }
    guard found == environment else {
      throw EmbeddedStoreError.otherEnvironment(path: path, found: found, expected: environment)
    }
  }

  /// Makes what is missing of a table, and drops the indexes that are no longer declared.
  private static func install(_ schema: TableSchema, in database: Database, environment: String) throws -> TableLayout {
    let known = try Row.fetchOne(database, sql: "SELECT * FROM tables WHERE name = ?", arguments: [schema.name])
    guard let known else {
      try database.execute(
        sql: "INSERT INTO tables (name, partition_key, sort_key, ttl_attribute) VALUES (?, ?, ?, ?)",
        arguments: [schema.name, schema.partitionKey, schema.sortKey, schema.timeToLiveAttribute])
      let layout = TableLayout(number: database.lastInsertedRowID, schema: schema, environment: environment)
      try database.execute(sql: layout.createTable)
      try install(schema.indexes, of: layout, in: database)
      return layout
    }
    guard known["partition_key"] == schema.partitionKey, known["sort_key"] == schema.sortKey else {
      throw EmbeddedStoreError.tableChanged(table: schema.name)
    }
    let layout = TableLayout(number: known["number"], schema: schema, environment: environment)
    let rows = try Row.fetchAll(
      database, sql: "SELECT * FROM indexes WHERE table_number = ?", arguments: [layout.number])
    let before = rows.map { IndexSchema(name: $0["name"], partitionKey: $0["partition_key"], sortKey: $0["sort_key"]) }
    let dropped = before.filter { !schema.indexes.contains($0) }
    for index in dropped {
      try database.execute(sql: "DROP INDEX \(layout.order(of: index).sqlIndex)")
      try database.execute(
        sql: "DELETE FROM indexes WHERE table_number = ? AND name = ?", arguments: [layout.number, index.name])
    }
    try install(schema.indexes.filter { !before.contains($0) }, of: layout, in: database)
    let ttlAttribute: String? = known["ttl_attribute"]
    if !dropped.isEmpty || before.count - dropped.count < schema.indexes.count
      || ttlAttribute != schema.timeToLiveAttribute
    {
      try database.execute(
        sql: "UPDATE tables SET ttl_attribute = ? WHERE number = ?",
        arguments: [schema.timeToLiveAttribute, layout.number])
      try refill(layout, in: database)
    }
    return layout
  }

  private static func install(_ indexes: [IndexSchema], of layout: TableLayout, in database: Database) throws {
    var columns = try Set(database.columns(in: layout.name).map(\.name))
    for attribute in layout.attributes where columns.insert("a:" + attribute).inserted {
      try database.execute(sql: "ALTER TABLE \(layout.sql) ADD COLUMN \(layout.column(of: attribute)) TEXT")
    }
    for index in indexes {
      try database.execute(sql: layout.create(index))
      try database.execute(
        sql: "INSERT INTO indexes VALUES (?, ?, ?, ?)",
        arguments: [layout.number, index.name, index.partitionKey, index.sortKey])
    }
  }

  /// Computes the columns of every row from its item, after a change of the declared indexes.
  private static func refill(_ layout: TableLayout, in database: Database) throws {
    let assignments = ["ttl = ?"] + layout.attributes.map { "\(layout.column(of: $0)) = ?" }
    let update = try SQLStatement(
      database, "UPDATE \(layout.sql) SET \(assignments.joined(separator: ", ")) WHERE row = ?")
    let read = try SQLStatement(
      database, "SELECT row, pk, sk, checksum, body FROM \(layout.sql) WHERE row > ? ORDER BY row LIMIT 1")
    var last: Int64 = 0
    while true {
      read.bind(last, at: 1)
      defer { read.reset() }
      guard try read.step() else { return }
      last = read.integer(0)
      let key = ItemKey(read.text(1) ?? "", read.text(2) ?? "")
      let item = try layout.item(key: key, body: read.blob(4), checksum: read.integer(3))
      update.bind(layout.schema.timeToLive(of: item), at: 1)
      for (offset, value) in layout.columns(of: item).enumerated() { update.bind(value, at: Int32(offset) + 2) }
      update.bind(last, at: Int32(layout.attributes.count) + 2)
      try update.execute()
    }
  }
}
