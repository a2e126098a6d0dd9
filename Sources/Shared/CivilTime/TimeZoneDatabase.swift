#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif
internal import Synchronization

/// Why a time zone cannot be used.
package enum TimeZoneError: Error, Sendable, Hashable {
  /// Not an IANA name of the system's tzdata.
  case unknown
  /// The system has no tzdata where it should be.
  case databaseMissing(directory: String)
  /// The system's file is not what RFC 9636 allows.
  case corrupt(id: String, rule: String)
}

extension TimeZoneError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unknown: "Not the IANA name of a time zone."
    case .databaseMissing(let directory): "There is no time zone database in \(directory): install tzdata."
    case .corrupt(let id, let rule): "The system's rules of the time zone \(id) are damaged: \(rule)."
    }
  }
}

/// The time zones of the system's tzdata (DOMAIN 5), each read once.
package final class TimeZoneDatabase: Sendable {
  /// `/usr/share/zoneinfo`.
  package static let system = TimeZoneDatabase(directory: "/usr/share/zoneinfo")

  package let directory: String
  /// Bounded by the files that are in the directory: names without a file are not kept.
  private let cache = Mutex<[String: TimeZoneRules]>([:])

  package init(directory: String) { self.directory = directory }

  /// The rules of an IANA name, such as `America/Toronto`; names are case-sensitive.
  ///
  /// Bare offsets, `GMT+5` and `posix/…`, `right/…` (other readings of the same zones) are unknown, as is everything
  /// that has not the form of a name.
  package func rules(for id: String) throws(TimeZoneError) -> TimeZoneRules {
    if let known = cache.withLock({ $0[id] }) { return known }
    guard Self.isName(id) else { throw .unknown }
    let bytes: [UInt8]
    switch File.read("\(directory)/\(id)", atMost: Self.maximumFileSize) {
    case .bytes(let read): bytes = read
    case .tooLarge: throw .corrupt(id: id, rule: "the file is too large")
    case .absent:
      // UTC is in every tzdata: without it the database is missing, not the zone.
      guard case .bytes = File.read("\(directory)/UTC", atMost: Self.maximumFileSize) else {
        throw .databaseMissing(directory: directory)
      }
      throw .unknown
    }
    // The directory holds tables as well (zone.tab); they are no zones.
    guard bytes.starts(with: "TZif".utf8) else { throw .unknown }
    let rules: TimeZoneRules
    do throws(TZif.FormatError) {
      rules = TimeZoneRules(id: id, data: try TZif(bytes))
    } catch {
      throw .corrupt(id: id, rule: error.rule)
    }
    cache.withLock { $0[id] = rules }
    return rules
  }

  /// The release of the rules, such as `2025b`; `unknown` when the system does not say.
  package var version: String {
    for (name, prefix) in [("tzdata.zi", "# version "), ("+VERSION", "")] {
      guard case .bytes(let bytes) = File.read("\(directory)/\(name)", atMost: 1 << 20) else { continue }
      let line = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
      guard line.hasPrefix(prefix) else { continue }
      let version = line.dropFirst(prefix.count)
      if !version.isEmpty, version.utf8.count <= 32, version.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
        return String(version)
      }
    }
    return "unknown"
  }

  /// The largest file of tzdata 2025b has less than 4 KiB.
  private static let maximumFileSize = 256 * 1024

  /// Components of letters, digits, `_`, `+` and `-` that start with a letter: no path leaves the directory so.
  private static func isName(_ id: String) -> Bool {
    guard !id.isEmpty, id.utf8.count <= 64 else { return false }
    let parts = id.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let wellFormed = parts.allSatisfy { part in
      guard let first = part.first, isLetter(first) else { return false }
      return part.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || "_+-".utf8.contains($0) }
    }
    return wellFormed && !["posix", "right", "localtime", "posixrules", "Factory"].contains(String(parts[0]) ?? "")
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}

/// Reading small files of the system.
private enum File {
  enum Content {
    case bytes([UInt8])
    case absent
    case tooLarge
  }

  static func read(_ path: String, atMost limit: Int) -> Content {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return .absent }
    defer { close(descriptor) }
    var content: [UInt8] = []
    while true {
      var count = 0
      let chunk = [UInt8](unsafeUninitializedCapacity: 16 * 1024) { buffer, initialized in
        count = readAll(descriptor, into: buffer)
        initialized = max(count, 0)
      }
      // A directory opens, but reading it fails.
      guard count >= 0 else { return .absent }
      if count == 0 { return .bytes(content) }
      content += chunk
      if content.count > limit { return .tooLarge }
    }
  }

  private static func readAll(_ descriptor: Int32, into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
    while true {
      #if canImport(Darwin)
        let count = Darwin.read(descriptor, buffer.baseAddress, buffer.count)
      #else
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }
}
