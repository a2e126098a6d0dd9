internal import CEncryptedVFS

/// The keys of a store by id; the one added last, the newest, encrypts what is written from then on.
///
/// A key that is no longer wanted is left out of the next process's ring, once ``EncryptedVFS/keysInUse(databaseAt:)`` does
/// not list it. Keys are wiped from memory when the last owner of the ring goes.
// @unchecked: the C object is immutable but for additions, which it orders with a lock and publishes atomically.
@safe package final class KeyRing: @unchecked Sendable {
  let handle: OpaquePointer

  /// Bytes of a key.
  package static let keyLength = Int(CEV_KEY_LENGTH)
  package static let maximumCount = Int(CEV_MAXIMUM_KEYS)

  private init() throws(KeyRingError) {
    guard let handle = unsafe cev_ring_create() else { throw .outOfMemory }
    unsafe self.handle = handle
  }

  deinit { unsafe cev_ring_release(handle) }

  /// Reads a ring from text: one `id:hex` per line (decimal id from 1, 64 hexadecimal digits), the newest last; blank lines
  /// and lines that begin with `#` count for nothing.
  ///
  /// - Parameter text: wiped before this returns.
  package convenience init(parsing text: inout [UInt8]) throws(KeyRingError) {
    defer { Self.wipe(&text) }
    try self.init()
    var added = 0
    for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let line = line.trimmingWhitespace
      if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
      try add(line: line, number: index + 1)
      added += 1
    }
    if added == 0 { throw .empty }
  }

  /// Adds a key, which becomes the newest at once, also for stores that are open.
  ///
  /// - Parameter key: wiped before this returns.
  package func add(id: UInt32, key: inout [UInt8]) throws(KeyRingError) {
    defer { Self.wipe(&key) }
    guard key.count == Self.keyLength else { throw .malformed(line: nil) }
    switch unsafe key.withUnsafeBufferPointer({ unsafe cev_ring_add(handle, id, $0.baseAddress) }) {
    case SQLITE_OK: return
    case SQLITE_FULL: throw .tooManyKeys
    case SQLITE_MISUSE: throw id == 0 ? .malformed(line: nil) : .duplicate(id: id)
    default: throw .outOfMemory
    }
  }

  /// What ``merge(_:)`` found.
  package struct Merge: Sendable, Hashable {
    /// The ids of the keys that were new, the newest last.
    package var added: [UInt32]
    /// Ids that the other ring does not have. They stay in this one.
    package var absent: [UInt32]
  }

  /// Adds the keys of another ring that this one does not hold; its newest becomes this ring's at once, also for stores
  /// that are open.
  ///
  /// - Throws: ``KeyRingError/otherKey(id:)``, ``KeyRingError/notNewest(id:)`` or ``KeyRingError/tooManyKeys``; the ring is as
  ///   it was then.
  package func merge(_ other: KeyRing) throws(KeyRingError) -> Merge {
    let before = ids
    var id: UInt32 = 0
    switch unsafe cev_ring_merge(handle, other.handle, &id) {
    case SQLITE_OK: break
    case SQLITE_FULL: throw .tooManyKeys
    case SQLITE_RANGE: throw .notNewest(id: id)
    default: throw .otherKey(id: id)
    }
    let (known, given) = (Set(before), other.ids)
    return Merge(added: given.filter { !known.contains($0) }, absent: before.filter { !given.contains($0) })
  }

  /// Which key is meant, without any part of it: its id, and what else each page says in clear of the key that it is under.
  package struct Label: Sendable, Hashable {
    package var id: UInt32
    /// Of two keys with one id, it differs but for one pair in 2^32.
    package var check: UInt32

    package init(id: UInt32, check: UInt32) {
      self.id = id
      self.check = check
    }
  }

  /// The newest last.
  package var labels: [Label] {
    var labels = [CEVKeyLabel](repeating: CEVKeyLabel(), count: Self.maximumCount)
    let count = unsafe cev_ring_labels(handle, &labels)
    return labels.prefix(Int(count)).map { Label(id: $0.id, check: $0.check) }
  }

  /// The newest last.
  package var ids: [UInt32] { labels.map(\.id) }

  private func add(line: ArraySlice<UInt8>, number: Int) throws(KeyRingError) {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
      let id = UInt32(decimal: line[..<colon].trimmingWhitespace), id != 0
    else { throw .malformed(line: number) }
    let digits = line[line.index(after: colon)...].trimmingWhitespace
    guard digits.count == 2 * Self.keyLength else { throw .malformed(line: number) }
    var key: [UInt8] = []
    key.reserveCapacity(Self.keyLength)
    defer { Self.wipe(&key) }
    var index = digits.startIndex
    while index < digits.endIndex {
      guard let high = digits[index].hexadecimalValue, let low = digits[index + 1].hexadecimalValue else {
        throw .malformed(line: number)
      }
      key.append(high << 4 | low)
      index += 2
    }
    try add(id: id, key: &key)
  }

  static func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { bytes in
      if let address = bytes.baseAddress { unsafe cev_wipe(address, bytes.count) }
    }
    bytes.removeAll()
  }
}

/// Why there is no key ring. No text of it carries any part of a key.
package enum KeyRingError: Error, Equatable, CustomStringConvertible {
  case unreadable(source: String, reason: String)
  /// The file may be read or written by others than its owner, or belongs to somebody else.
  case notPrivate(path: String)
  case malformed(line: Int?)
  case duplicate(id: UInt32)
  /// Of two rings that should agree: the one holds another key under an id of the other, or its key under another id.
  case otherKey(id: UInt32)
  /// The newest key of a ring would not become the newest of the ring it is added to.
  case notNewest(id: UInt32)
  case tooManyKeys
  case tooLong(source: String)
  case empty
  case outOfMemory

  package var description: String {
    switch self {
    case .unreadable(let source, let reason): "The keys cannot be read from \(source): \(reason)."
    case .notPrivate(let path):
      "The key file \(path) is open to others: it must belong to the service's user and have mode 0600 or 0400."
    case .malformed(let line?):
      "Line \(line) of the keys is not \"id:hex\", a number from 1 and 64 hexadecimal digits."
    case .malformed(nil): "A key needs an id from 1 and 32 bytes."
    case .duplicate(let id): "Key \(id) repeats the id or the bytes of another key."
    case .otherKey(let id): "Key \(id) is another than the store's key of this id, or has another id in the store."
    case .notNewest(let id): "Key \(id) is the last one but not the newest of the store; new keys go to the end."
    case .tooManyKeys: "There are more than \(KeyRing.maximumCount) keys."
    case .tooLong(let source): "\(source) holds more than \(KeySource.maximumLength) bytes, which are no keys."
    case .empty: "There is no key among the keys."
    case .outOfMemory: "There is no memory for the keys."
    }
  }
}

extension ArraySlice<UInt8> {
  fileprivate var trimmingWhitespace: ArraySlice<UInt8> {
    func isSpace(_ byte: UInt8) -> Bool {
      byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
    let start = self.drop(while: isSpace)
    guard let last = start.lastIndex(where: { !isSpace($0) }) else { return [] }
    return start[...last]
  }
}

extension UInt32 {
  fileprivate init?(decimal digits: ArraySlice<UInt8>) {
    guard !digits.isEmpty, digits.count <= 10 else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
    self.init(exactly: value)
  }
}

extension UInt8 {
  fileprivate var hexadecimalValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
