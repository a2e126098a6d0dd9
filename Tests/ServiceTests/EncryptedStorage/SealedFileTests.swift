internal import EncryptedStorage
internal import Foundation
internal import Testing

@Suite("Sealed files") struct SealedFileTests {
  private let directory = FileManager.default.temporaryDirectory.path + "/sealed-\(UUID().uuidString)"
  private let keyRing: KeyRing
  /// A header in clear, then frames of 16 bytes in clear, a body and a trailer of 48 bytes.
  private static let headerLength = 64
  private static let overhead = 64

  init() throws {
    keyRing = try EncryptedFixture.ring(1)
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  private func write(_ bodies: [[UInt8]], to name: String) throws -> String {
    let writer = try SealedFileWriter(creating: directory + "/" + name, keyRing: keyRing)
    for (kind, body) in bodies.enumerated() { try writer.append(body, kind: UInt8(kind)) }
    try writer.sync()
    return writer.path
  }

  private func frames(_ path: String, _ keyRing: KeyRing? = nil) throws -> [SealedFileReader.Frame] {
    let reader = try SealedFileReader(path, keyRing: keyRing ?? self.keyRing)
    var frames: [SealedFileReader.Frame] = []
    while let frame = try reader.next() { frames.append(frame) }
    return frames
  }

  private func alter(_ path: String, _ change: (inout Data) -> Void) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    change(&data)
    try data.write(to: URL(fileURLWithPath: path))
  }

  @Test("give back their frames in order, empty ones too, and show nothing of them")
  func roundTrip() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let bodies = [Array("Lovelace".utf8), [], [UInt8](repeating: 7, count: 100_000)]
    let path = try write(bodies, to: "a")
    #expect(try frames(path).map(\.body) == bodies)
    #expect(try frames(path).map(\.kind) == [0, 1, 2])
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).range(of: Data("Lovelace".utf8)) == nil)
  }

  @Test("a frame at the place of another, or in another file, does not open")
  func moved() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let (first, second) = (try write([[1, 1], [2, 2]], to: "a"), try write([[1, 1], [2, 2]], to: "b"))
    let length = Self.overhead + 2
    let foreign = try Data(contentsOf: URL(fileURLWithPath: second))
    let original = try Data(contentsOf: URL(fileURLWithPath: first))
    try alter(first) { data in
      let one = data.subdata(in: Self.headerLength..<Self.headerLength + length)
      data.replaceSubrange(Self.headerLength..<Self.headerLength + length, with: data.suffix(length))
      data.replaceSubrange(Self.headerLength + length..<data.count, with: one)
    }
    #expect(throws: SealedFileError.damaged(path: first, offset: Self.headerLength)) { try frames(first) }
    try original.write(to: URL(fileURLWithPath: first))
    try alter(first) { $0.replaceSubrange(Self.headerLength + length..<$0.count, with: foreign.suffix(length)) }
    #expect(throws: SealedFileError.damaged(path: first, offset: Self.headerLength + length)) { try frames(first) }
  }

  @Test("tell which key is missing or another")
  func keys() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = try write([[1]], to: "a")
    #expect(throws: SealedFileError.unknownKey(id: 1, path: path)) { try frames(path, EncryptedFixture.ring(2)) }
    var text = Array("1:\(EncryptedFixture.hex(77))".utf8)
    let other = try KeyRing(parsing: &text)
    #expect(throws: SealedFileError.wrongKey(id: 1, path: path)) { try frames(path, other) }
    #expect(throws: SealedFileError.notSealed(path: path)) {
      try alter(path) { $0[3] ^= 1 }
      _ = try frames(path)
    }
  }

  @Test("are gone on with behind the last whole frame, under another salt, wherever they were cut")
  func continued() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let original = try write([[1], [2, 2], [3, 3, 3]], to: "a")
    let whole = try Data(contentsOf: URL(fileURLWithPath: original))
    let ends = [1, 2, 3].reduce(into: [Self.headerLength]) { $0.append($0[$0.count - 1] + Self.overhead + $1) }
    for cut in Self.headerLength...whole.count {
      let path = directory + "/cut-\(cut)"
      try whole.prefix(cut).write(to: URL(fileURLWithPath: path))
      let reader = try SealedFileReader(path, keyRing: keyRing)
      var kept = 0
      while try reader.next() != nil { kept += 1 }
      #expect(kept == ends.count { $0 <= cut } - 1)
      try SealedFileWriter(continuing: reader, keyRing: keyRing).append([9], kind: 9)
      let found = try frames(path)
      #expect(found.map(\.body) == [[1], [2, 2], [3, 3, 3]].prefix(kept) + [[9]])
      guard kept > 0 else { continue }
      // The salt of a trailer is behind its key's id and check.
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      let first = bytes.subdata(in: ends[1] - 40..<ends[1] - 24)
      #expect(first != bytes.subdata(in: bytes.count - 40..<bytes.count - 24))
    }
  }
}
