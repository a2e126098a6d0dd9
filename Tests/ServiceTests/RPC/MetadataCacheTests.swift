import Testing

@testable import RPC

/// What a connection remembers never shows in what a call is told: a cached block reads as one that is read anew (W13,
/// W15).
@Suite struct MetadataCacheTests {
  private static let long = String(repeating: "v", count: 4096)

  static let blocks: [HeaderFields] = [
    [:],
    ["user-agent": "a/1"],
    ["user-agent": "a/2"],
    ["user-agent": "a/2", "x-a": "1"],
    ["x-a": "1", "user-agent": "a/2"],
    ["x-ab": "c"],
    ["x-a": "bc"],
    ["x-a": "b", "c": ""],
    ["x-a": "  b  "],
    ["x-b-bin": "AAEC"],
    ["x-b-bin": "AAEC,AA"],
    ["grpc-unknown": "1"],
    ["x-long": long],
    ["x-long": long, "x-a": "1"],
  ]

  @Test("each block after each other block, and after itself")
  func everyPair() throws {
    for before in Self.blocks {
      for block in Self.blocks {
        var cache = MetadataCache()
        _ = try cache.metadata(of: before)
        #expect(try cache.metadata(of: block) == Metadata(block))
        #expect(try cache.metadata(of: block) == Metadata(block))
      }
    }
  }

  @Test("a block that cannot be read leaves nothing behind")
  func invalid() throws {
    var cache = MetadataCache()
    _ = try cache.metadata(of: ["x-a": "1"])
    #expect(throws: RPCError.self) { try cache.metadata(of: ["x-b-bin": "*"]) }
    #expect(throws: RPCError.self) { try cache.metadata(of: ["x-b-bin": "*"]) }
    #expect(try cache.metadata(of: [:]).isEmpty)
    #expect(try cache.metadata(of: ["x-a": "1"])["x-a"] == "1")
  }

  @Test("the authority is the block's own")
  func authority() throws {
    var cache = MetadataCache()
    for name in ["a:1", "a:1", "a:2", "", "a", String(repeating: "h", count: 300), "a"] {
      let fields: HeaderFields = [":authority": name]
      #expect(cache.authority(try #require(fields.first(.authority)), of: fields) == name)
    }
  }
}
