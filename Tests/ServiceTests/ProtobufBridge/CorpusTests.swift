internal import Contract
internal import ProtobufBridge
internal import RPC
internal import StandardProtos
internal import TestSupport
internal import Testing

@testable internal import generate_contract

/// Every message of the contract with random content, against protoc.
@Suite("Corpus against protoc")
struct CorpusTests {
  private static let samplesPerMessage = 8

  private func type(named name: String) throws -> any ProtobufMessage.Type {
    try #require(ContractRegistry.messages[name] ?? StandardRegistry.messages[name])
  }

  private func samples(_ protoc: Protoc, _ style: RandomMessages.Style, seed: UInt64) -> [[[UInt8]]] {
    var random = RandomMessages(schema: protoc.schema, style: style, random: SeededGenerator(seed: seed))
    return protoc.names.map { name in (0..<Self.samplesPerMessage).map { _ in random.message(name) } }
  }

  /// Each sample decoded and encoded by us.
  private func reencoded(_ samples: [[[UInt8]]], _ protoc: Protoc) throws -> [[[UInt8]]] {
    try zip(protoc.names, samples).map { name, samples in
      let type = try type(named: name)
      return try samples.map { try type.init(serializedBytes: $0).serializedBytes() }
    }
  }

  @Test("our bytes are those of protoc --encode, both ways", arguments: [1, 2, 3] as [UInt64])
  func tidy(seed: UInt64) async throws {
    let protoc = try Protoc()
    let samples = samples(protoc, .tidy, seed: seed)
    let text = try #require(try await protoc.text(ofBatch: Protoc.batch(samples)))
    let canonical = try #require(try await protoc.bytes(ofBatch: text))
    let ours = try reencoded(samples, protoc)
    #expect(Protoc.batch(ours) == canonical)
    #expect(try reencoded(ours, protoc) == ours)
    try protoc.remove()
  }

  @Test("what protoc reads in messy bytes it reads in ours", arguments: [11, 12, 13, 14] as [UInt64])
  func messy(seed: UInt64) async throws {
    let protoc = try Protoc()
    let samples = samples(protoc, .messy, seed: seed)
    let expected = try #require(try await protoc.text(ofBatch: Protoc.batch(samples)))
    let ours = try #require(try await protoc.text(ofBatch: Protoc.batch(try reencoded(samples, protoc))))
    #expect(ours == expected)
    try protoc.remove()
  }

  @Test("a message cut at any byte is accepted or refused as protoc does", arguments: [21] as [UInt64])
  func truncated(seed: UInt64) async throws {
    let protoc = try Protoc()
    var random = SeededGenerator(seed: seed)
    var accepted: [[[UInt8]]] = []
    var refused: [(name: String, bytes: [UInt8])] = []
    for (name, samples) in zip(protoc.names, samples(protoc, .messy, seed: seed)) {
      let type = try type(named: name)
      var whole: [[UInt8]] = []
      for sample in samples.prefix(2) {
        for length in 0..<sample.count {
          let cut = Array(sample.prefix(length))
          if (try? type.init(serializedBytes: cut)) != nil { whole.append(cut) } else { refused.append((name, cut)) }
        }
      }
      accepted.append(whole)
    }
    // protoc takes all that we take at once, and what we refuse one at a time: of these a part.
    #expect(try await protoc.text(ofBatch: Protoc.batch(accepted)) != nil)
    refused.shuffle(using: &random)
    for (name, bytes) in refused.prefix(150) {
      #expect(try await protoc.text(of: bytes, as: name) == nil, "\(name) \(bytes)")
    }
    try protoc.remove()
  }

  /// Without repeated singular fields: of those protoc checks the UTF-8 of every one, we that of the last, which counts.
  @Test("random damage is accepted or refused as protoc does", arguments: [31, 32] as [UInt64])
  func damaged(seed: UInt64) async throws {
    let protoc = try Protoc()
    var random = SeededGenerator(seed: seed)
    var compared = 0
    for (name, samples) in zip(protoc.names, samples(protoc, .strange, seed: seed)) {
      let type = try type(named: name)
      for (index, sample) in samples.enumerated() where !sample.isEmpty {
        var bytes = sample
        let position = bytes.indices.randomElement(using: &random) ?? 0
        bytes[position] ^= UInt8(1) << UInt8.random(in: 0...7, using: &random)
        let ours = try? type.init(serializedBytes: bytes)
        guard index == 0 else { continue }
        let verdict = try await protoc.text(of: bytes, as: name)
        #expect((ours == nil) == (verdict == nil), "\(name) \(bytes)")
        compared += 1
      }
    }
    #expect(compared > 50)
    try protoc.remove()
  }
}
