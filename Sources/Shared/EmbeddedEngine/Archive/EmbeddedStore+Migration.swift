internal import Storage

extension EmbeddedStore {
  /// Keeps the store as it is, before it is brought to a newer format: in its archive, or beside it if it has none.
  static func keep(
    _ database: StoreDatabase, format: Int, in directory: StoreDirectory, _ configuration: Configuration
  ) throws(ArchiveError) {
    guard let backups = configuration.backups, let history = try StoreBackup.history(of: database) else {
      let path = "\(directory.path)/before-format-\(format + 1)-\(configuration.clock()).sqlite"
      return try Snapshot.take(of: database, at: path)
    }
    let folder = try ArchiveFolder.newest(of: history, in: backups)
    _ = try Snapshot.take(of: database, into: folder, kind: .migration, clock: configuration.clock)
  }
}
