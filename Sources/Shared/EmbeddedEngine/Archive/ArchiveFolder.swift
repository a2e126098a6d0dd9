internal import Foundation

/// A backup directory: one folder for each history that was archived into it, named `<history>-<branch>`.
///
/// A history is the life of one store, from its making (or its restoring) on. A store that was set back by other means
/// than `restore`, so that it goes on otherwise than its archive says, gets a new branch, which leaves the old one whole.
package struct BackupDirectory: Sendable, Hashable {
  package let path: String

  package init(_ path: String) { self.path = path }

  /// All histories, in no particular order. An absent directory has none.
  package func histories() throws(ArchiveError) -> [ArchiveFolder] {
    try FileList.names(in: path).compactMap { ArchiveFolder(backups: self, name: $0) }
  }
}

/// What is archived of one history: `snapshots/`, whole encrypted databases, and `journal/`, the records after them.
///
/// | File | Content |
/// |---|---|
/// | `snapshots/<taken at>-<sequence>-<kind>.sqlite` | the store at that instant (microseconds since 1970) |
/// | `journal/<first>-<random>.segment` | records from a sequence on, complete |
/// | `journal/<first>-<random>.open` | the same, being written, or cut off |
/// | `archive.lock` | held by the process that writes |
package struct ArchiveFolder: Sendable, Hashable {
  package let path: String
  /// `<history>-<branch>`.
  package let name: String
  let history: String
  let branch: Int

  init?(backups: BackupDirectory, name: String) {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, Self.isHistory(String(parts[0])), let branch = Int(parts[1]), branch > 0 else { return nil }
    self.init(backups: backups, history: String(parts[0]), branch: branch)
  }

  init(backups: BackupDirectory, history: String, branch: Int) {
    self.history = history
    self.branch = branch
    name = "\(history)-\(branch)"
    path = backups.path + "/" + name
  }

  /// The newest branch of a history, or the first if it has none yet.
  static func newest(of history: String, in backups: BackupDirectory) throws(ArchiveError) -> ArchiveFolder {
    let branches = try backups.histories().filter { $0.history == history }.map(\.branch)
    return ArchiveFolder(backups: backups, history: history, branch: branches.max() ?? 1)
  }

  /// 32 hexadecimal digits.
  static func isHistory(_ text: String) -> Bool {
    text.utf8.count == 32 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
  }

  var snapshotFolder: String { path + "/snapshots" }
  var journalFolder: String { path + "/journal" }
  var lockFile: String { path + "/archive.lock" }

  /// The oldest first.
  package func snapshots() throws(ArchiveError) -> [SnapshotFile] {
    try FileList.names(in: snapshotFolder).compactMap { SnapshotFile(folder: snapshotFolder, name: $0) }
      .sorted { ($0.takenAt, $0.sequence) < ($1.takenAt, $1.sequence) }
  }

  /// By their first sequence; of those that begin alike the ones that are complete come last.
  package func segments() throws(ArchiveError) -> [SegmentFile] {
    try FileList.names(in: journalFolder).compactMap { SegmentFile(folder: journalFolder, name: $0) }
      .sorted { ($0.first, $0.isComplete ? 1 : 0, $0.path) < ($1.first, $1.isComplete ? 1 : 0, $1.path) }
  }
}

/// A snapshot, as its name says.
package struct SnapshotFile: Sendable, Hashable {
  package enum Kind: String, Sendable, CaseIterable {
    /// Made by the service from time to time; deleted once retention is over.
    case scheduled
    /// Asked for; kept until somebody deletes it.
    case manual
    /// Made before the store was brought to a newer format; kept until somebody deletes it.
    case migration
  }

  package let path: String
  /// Microseconds since 1970; every transaction that it holds committed at this time or before.
  package let takenAt: Int64
  /// The last transaction that it holds.
  package let sequence: Int64
  package let kind: Kind

  init(folder: String, takenAt: Int64, sequence: Int64, kind: Kind) {
    self.init(
      path: "\(folder)/\(takenAt)-\(sequence)-\(kind.rawValue).sqlite", takenAt: takenAt, sequence: sequence,
      kind: kind)
  }

  init(path: String, takenAt: Int64, sequence: Int64, kind: Kind) {
    self.path = path
    self.takenAt = takenAt
    self.sequence = sequence
    self.kind = kind
  }

  init?(folder: String, name: String) {
    guard name.hasSuffix(".sqlite") else { return nil }
    let parts = name.dropLast(".sqlite".count).split(separator: "-")
    guard parts.count == 3, let takenAt = Int64(parts[0]), let sequence = Int64(parts[1]),
      let kind = Kind(rawValue: String(parts[2]))
    else { return nil }
    self.init(folder: folder, takenAt: takenAt, sequence: sequence, kind: kind)
  }

  /// Bytes on the disk.
  package var size: Int { FileList.size(of: path) }
}

/// A segment of the journal, as its name says.
package struct SegmentFile: Sendable, Hashable {
  package let path: String
  /// The sequence of its first record.
  package let first: Int64
  /// Whether it was finished in order; otherwise it is being written, or its writer was cut off.
  package let isComplete: Bool

  /// A new one.
  init(folder: String, first: Int64) {
    let random = String(UInt32.random(in: .min ... .max), radix: 16)
    path = "\(folder)/\(first)-\(random).open"
    self.first = first
    isComplete = false
  }

  init?(folder: String, name: String) {
    let isComplete = name.hasSuffix(".segment")
    guard isComplete || name.hasSuffix(".open"), let first = Int64(name.prefix { $0 != "-" }), first > 0 else {
      return nil
    }
    path = folder + "/" + name
    self.first = first
    self.isComplete = isComplete
  }

  var completePath: String { isComplete ? path : path.dropLast("open".count) + "segment" }

  /// Bytes on the disk.
  package var size: Int { FileList.size(of: path) }
}

/// Directories and durable names.
enum FileList {
  static func names(in directory: String) throws(ArchiveError) -> [String] {
    guard let stream = unsafe opendir(directory) else {
      guard errno != ENOENT else { return [] }
      throw .file(path: directory, reason: reason())
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  static func size(of path: String) -> Int {
    var info = stat()
    return unsafe stat(path, &info) == 0 ? Int(info.st_size) : 0
  }

  /// Makes a directory with mode 0700 and all that lead to it; their names are durable when this returns.
  static func make(_ path: String) throws(ArchiveError) {
    if unsafe access(path, F_OK) == 0 { return }
    let parent = parent(of: path)
    if parent != path { try make(parent) }
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .file(path: path, reason: reason()) }
    try giveToOwner(ofDirectoryOf: path)
    try sync(parent)
  }

  /// A command that root runs must not leave files that the service's user cannot read. Does nothing for others.
  static func giveToOwner(ofDirectoryOf path: String) throws(ArchiveError) {
    guard geteuid() == 0 else { return }
    var info = stat()
    guard unsafe stat(parent(of: path), &info) == 0, unsafe chown(path, info.st_uid, info.st_gid) == 0 else {
      throw .file(path: path, reason: reason())
    }
  }

  static func rename(_ path: String, to target: String) throws(ArchiveError) {
    guard unsafe Foundation.rename(path, target) == 0 else { throw .file(path: path, reason: reason()) }
    try sync(parent(of: target))
  }

  static func delete(_ path: String) throws(ArchiveError) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else { throw .file(path: path, reason: reason()) }
  }

  /// Makes the content of a file, or the names in a directory, durable.
  static func sync(_ path: String) throws(ArchiveError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, reason: reason()) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .file(path: path, reason: reason()) }
  }

  static func parent(of path: String) -> String {
    let parent = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
    return parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : String(parent)
  }

  static func reason(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)) }
}
