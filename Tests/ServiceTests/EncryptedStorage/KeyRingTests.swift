internal import EncryptedStorage
internal import Foundation
internal import Testing

@Suite("The key ring and where it comes from")
struct KeyRingTests {
  static let hex = String(repeating: "a5", count: 32)
  static let otherHex = String(repeating: "0F", count: 32)

  private func parse(_ text: String) throws -> KeyRing {
    var bytes = Array(text.utf8)
    defer { #expect(bytes.isEmpty, "the text is wiped") }
    return try KeyRing(parsing: &bytes)
  }

  @Test(
    "texts that are key rings",
    arguments: ["1:\(hex)", "1:\(hex)\n", "# keys\r\n\r\n 1 : \(hex) \r\n4294967295:\(otherHex)\r\n"])
  func accepted(text: String) throws { _ = try parse(text) }

  @Test(
    "texts that are none say where and why, and quote nothing",
    arguments: [
      ("", KeyRingError.empty), ("# only a remark\n\n", .empty), (hex, .malformed(line: 1)),
      ("0:\(hex)", .malformed(line: 1)), ("4294967296:\(hex)", .malformed(line: 1)), (":\(hex)", .malformed(line: 1)),
      ("-1:\(hex)", .malformed(line: 1)), ("1:\(hex.dropLast())", .malformed(line: 1)),
      ("1:\(hex)0", .malformed(line: 1)), ("1:\(hex.dropLast())g", .malformed(line: 1)),
      ("1:\(hex)\n\n1:\(otherHex)", .duplicate(id: 1)), ("1:\(hex)\n2:\(hex)", .duplicate(id: 2)),
      ("1:\(hex)\n2:\(otherHex)\n3", .malformed(line: 3)),
    ])
  func refused(text: String, error: KeyRingError) {
    #expect(throws: error) { try parse(text) }
    #expect(!error.description.contains("a5a5") && !error.description.contains("0F0F"))
  }

  @Test("64 keys fit, 65 do not")
  func limit() throws {
    func text(_ count: Int) -> String {
      (1...count).map { id in
        let digits = String(id, radix: 16)
        return "\(id):" + String(repeating: "0", count: 64 - digits.count) + digits
      }.joined(separator: "\n")
    }
    _ = try parse(text(64))
    #expect(throws: KeyRingError.tooManyKeys) { try parse(text(65)) }
  }

  @Test("labels tell keys of one id apart")
  func labels() throws {
    let (one, same, other) = (try parse("7:\(Self.hex)"), try parse("7:\(Self.hex)"), try parse("7:\(Self.otherHex)"))
    #expect(one.labels == same.labels)
    #expect(one.labels != other.labels)
    #expect(one.ids == [7])
  }

  // Merging

  @Test("another ring's new keys are added in their order, and the last is the newest; keys it lacks stay")
  func merged() throws {
    let ring = try EncryptedFixture.ring(1, 2)
    let first = try ring.merge(EncryptedFixture.ring(2, 5, 3))
    #expect(first.added == [5, 3] && first.absent == [1])
    #expect(ring.ids == [1, 2, 5, 3])
    let second = try ring.merge(EncryptedFixture.ring(3))
    #expect(second.added == [] && second.absent == [1, 2, 5])
    #expect(ring.ids == [1, 2, 5, 3])
  }

  @Test("a merged key encrypts what an open store writes, as the same key from a file does")
  func mergedKey() throws {
    let fixture = try EncryptedFixture()
    try fixture.withPool { pool in
      try EncryptedFixture.create(pool)
      _ = try fixture.vfs.keyRing.merge(EncryptedFixture.ring(1, 2))
      try EncryptedFixture.insert([1], into: pool)
      #expect(try fixture.vfs.keysInUse(databaseAt: fixture.path).map(\.id) == [1, 2])
    }
    let other = try EncryptedFixture(copying: fixture, EncryptedFixture.ring(1, 2))
    #expect(try other.withPool(EncryptedFixture.readAll) == [1])
  }

  @Test(
    "a ring that does not fit is refused, and nothing of it is added",
    arguments: [
      // Another key under a known id, a known key under another id, a newest key that is not new, or not there.
      ("9:\(hex)\n2:\(otherHex)", KeyRingError.otherKey(id: 2)),
      ("9:\(otherHex)\n8:\(EncryptedFixture.hex(1))", .otherKey(id: 8)),
      ("9:\(hex)\n2:\(EncryptedFixture.hex(2))", .notNewest(id: 2)),
      ("1:\(EncryptedFixture.hex(1))", .notNewest(id: 1)),
    ])
  func unfit(text: String, error: KeyRingError) throws {
    let ring = try EncryptedFixture.ring(1, 2)
    let other = try parse(text)
    #expect(throws: error) { try ring.merge(other) }
    #expect(ring.ids == [1, 2])
    #expect(!error.description.contains("a5a5") && !error.description.contains("0F0F"))
  }

  @Test("a merged ring has at most 64 keys")
  func mergeLimit() throws {
    let ring = try EncryptedFixture.ring(1)
    for id in 2...63 as ClosedRange<UInt32> { _ = try ring.merge(EncryptedFixture.ring(id)) }
    #expect(throws: KeyRingError.tooManyKeys) { try ring.merge(EncryptedFixture.ring(64, 65)) }
    #expect(ring.ids.count == 63)
    _ = try ring.merge(EncryptedFixture.ring(64))
    #expect(ring.ids.count == 64)
  }

  // Files

  private func withKeyFile(_ text: String, mode: Int, _ body: (String) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.path + "/keys-\(UUID().uuidString)"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    try body(path)
  }

  @Test("a private file is read", arguments: [0o600, 0o400])
  func privateFile(mode: Int) throws {
    try withKeyFile("1:\(Self.hex)", mode: mode) { _ = try KeySource.file($0).load() }
  }

  @Test("a file that others can reach is refused", arguments: [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
  func openFile(mode: Int) throws {
    try withKeyFile("1:\(Self.hex)", mode: mode) { path in
      #expect(throws: KeyRingError.notPrivate(path: path)) { try KeySource.file(path).load() }
    }
  }

  @Test("a file of 64 KiB is read, one byte more is refused")
  func longFile() throws {
    let line = "1:\(Self.hex)\n#"
    let filler = String(repeating: "x", count: 64 * 1024 - line.utf8.count)
    try withKeyFile(line + filler, mode: 0o600) { _ = try KeySource.file($0).load() }
    try withKeyFile(line + filler + "x", mode: 0o600) { path in
      #expect(throws: KeyRingError.tooLong(source: path)) { try KeySource.file(path).load() }
    }
  }

  @Test("an absent file and a directory are refused", arguments: ["/nonexistent/keys", "/"])
  func noFile(path: String) {
    #expect {
      try KeySource.file(path).load()
    } throws: { error in
      guard case .unreadable(source: path, _) = error as? KeyRingError else { return false }
      return true
    }
  }

  // Commands and variables

  @Test("a command prints the keys")
  func command() throws { _ = try KeySource.command(["printf", "1:\(Self.hex)\\n"]).load() }

  @Test(
    "commands that do not are refused",
    arguments: [
      ["/nonexistent/command"], [""], [], ["false"], ["sh", "-c", "echo 1:\(hex); exit 3"], ["sh", "-c", "kill -9 $$"],
      ["true"], ["sh", "-c", "head -c 70000 /dev/zero"],
    ])
  func badCommand(arguments: [String]) {
    #expect(throws: KeyRingError.self) { try KeySource.command(arguments).load() }
  }

  @Test("a command that does not end is killed")
  func slowCommand() {
    let started = ContinuousClock.now
    #expect(throws: KeyRingError.self) {
      try KeySource.command(["sleep", "600"]).load(commandTimeout: .milliseconds(200))
    }
    #expect(ContinuousClock.now - started < .seconds(60))
  }

  @Test("a variable that is not set is refused, one that holds no key too")
  func variables() {
    #expect(throws: KeyRingError.self) { try KeySource.environment("CLINICAVOICE_NO_SUCH_VARIABLE").load() }
    #expect(throws: KeyRingError.malformed(line: 1)) { try KeySource.environment("PATH").load() }
  }
}
