import RPC
import TestSupport
import Testing

@Suite("grpc-timeout")
struct GRPCTimeoutTests {
  @Test(
    "W9: what the grammar allows",
    arguments: [
      ("1n", Duration.nanoseconds(1)), ("0S", .zero), ("99999999u", .microseconds(99_999_999)),
      ("100m", .milliseconds(100)), ("7S", .seconds(7)), ("2M", .seconds(120)), ("1H", .seconds(3600)),
      ("99999999H", .seconds(99_999_999 * 3600)), ("00000001S", .seconds(1)),
    ])
  func legal(text: String, expected: Duration) {
    #expect(GRPCTimeout.parse(Array(text.utf8)) == expected)
  }

  @Test(
    "W9: what it does not",
    arguments: ["", "S", "1", "1s", "1h", "-1S", "+1S", "1.5S", " 1S", "1S ", "123456789S", "1SS", "１S", "1_000S"])
  func malformed(text: String) {
    #expect(GRPCTimeout.parse(Array(text.utf8)) == nil)
  }

  @Test("W10: a positive remainder is never sent as nothing, never shortened, and fits", arguments: 0..<200)
  func roundsUp(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    let exponent = Int.random(in: 0...62, using: &generator)
    let duration = Duration.nanoseconds(Int64.random(in: 1...(1 << exponent), using: &generator))
    let text = try #require(GRPCTimeout.format(duration))
    #expect((2...9).contains(text.utf8.count))
    let parsed = try #require(GRPCTimeout.parse(Array(text.utf8)))
    #expect(parsed >= duration)
    #expect(parsed - duration <= duration / 50_000)
  }

  @Test(
    "W10: chosen units",
    arguments: [
      (Duration.nanoseconds(1), "1n"), (.milliseconds(50), "50000000n"), (.milliseconds(100), "100000u"),
      (.seconds(1), "1000000u"), (.seconds(100), "100000m"), (.seconds(100_000), "100000S"),
      (.seconds(99_999_999 * 4000), "99999999H"),
    ])
  func units(duration: Duration, expected: String) {
    #expect(GRPCTimeout.format(duration) == expected)
  }

  @Test("W10: what has elapsed is not sent", arguments: [Duration.zero, .nanoseconds(-1)])
  func elapsed(duration: Duration) {
    #expect(GRPCTimeout.format(duration) == nil)
  }
}

@Suite("grpc-message")
struct PercentEncodingTests {
  @Test(
    "W31: encoding",
    arguments: [
      ("", ""), ("plain text!", "plain text!"), ("100%", "100%25"), ("é", "%C3%A9"), ("a\nb", "a%0Ab"),
      ("~\u{7F}", "~%7F"), (" x ", "%20x%20"), (" ", "%20"), ("a b", "a b"),
    ])
  func encode(text: String, expected: String) {
    #expect(String(decoding: PercentEncoding.encode(text), as: UTF8.self) == expected)
  }

  @Test(
    "W31: decoding never fails",
    arguments: [
      ("%C3%a9", "é"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%%41", "%A"), ("%FF", "\u{FFFD}"), ("a%20b", "a b"),
    ])
  func decode(text: String, expected: String) {
    #expect(PercentEncoding.decode(Array(text.utf8)) == expected)
  }
}

@Suite("-bin metadata")
struct BinaryMetadataTests {
  /// Vectors of RFC 4648 section 10.
  @Test(
    "W15: padded and unpadded",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func vectors(text: String, base64: String) {
    let bytes = Array(text.utf8)
    let unpadded = base64.filter { $0 != "=" }
    #expect(Base64.decode(Array(base64.utf8)) == bytes)
    #expect(Base64.decode(Array(unpadded.utf8)) == bytes)
    #expect(String(decoding: Base64.encode(bytes), as: UTF8.self) == unpadded)
  }

  @Test("what is not base64", arguments: ["Z", "Zg=", "Zm9v=", "Z*==", "Zg==Zg==", "====", "Zm9v\n"])
  func malformed(text: String) {
    #expect(Base64.decode(Array(text.utf8)) == nil)
  }

  @Test("W15: a list is split at commas before decoding, duplicates keep their order")
  func commas() throws {
    let fields: HeaderFields = ["a-bin": "Zm9v,Zm9vYg==", "b": "1", "a-bin": "Zg", "b": "2"]
    let metadata = try Metadata(fields)
    #expect(
      metadata.values(for: "a-bin")
        == [.binary(Array("foo".utf8)), .binary(Array("foob".utf8)), .binary(Array("f".utf8))])
    #expect(metadata.values(for: "b") == [.ascii("1"), .ascii("2")])
  }

  @Test("CVE-2023-32732: a bad value is an error of the call")
  func badValue() {
    #expect(throws: RPCError.self) { try Metadata(["a-bin": "Z"]) }
  }

  @Test("W13, W14: reserved names and unprintable values are not custom metadata")
  func filtered() throws {
    var fields: HeaderFields = [
      ":path": "/a/b", "content-type": "application/grpc", "grpc-timeout": "1S", "grpc-foo": "x", "te": "trailers",
      "x-a": " padded ",
    ]
    fields.append("x-b", [0xC3, 0xA9])
    let metadata = try Metadata(fields)
    #expect(metadata == ["x-a": "padded"])
  }

  @Test("W13, W14: what may not be sent", arguments: ["grpc-x", "content-type", "X-A", "a b", "", ":path", "é"])
  func illegalNames(name: String) {
    var fields = HeaderFields()
    #expect(throws: RPCError.self) { try fields.append(Metadata(dictionaryLiteral: (name, "v"))) }
  }

  @Test("what may be sent arrives the same", arguments: 0..<20)
  func roundTrip(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    var metadata = Metadata()
    for _ in 0..<8 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      metadata.add(.binary(bytes), for: "k\(Int.random(in: 0...3, using: &generator))-bin")
      metadata.add("v\(Int.random(in: 0...9, using: &generator))", for: "x-y.z_1")
    }
    var fields = HeaderFields()
    try fields.append(metadata)
    #expect(try Metadata(fields) == metadata)
  }
}

@Suite("Codes and content types")
struct MappingTests {
  @Test(
    "W2.8: resets",
    arguments: [
      (0, StatusCode.internal), (1, .internal), (2, .internal), (3, .internal), (4, .internal), (5, .internal),
      (6, .internal), (7, .unavailable), (8, .cancelled), (9, .internal), (10, .internal), (11, .resourceExhausted),
      (12, .permissionDenied), (13, .internal), (99, .internal),
    ] as [(UInt32, StatusCode)])
  func resets(code: UInt32, expected: StatusCode) {
    #expect(StatusCode(http2ErrorCode: code) == expected)
  }

  @Test(
    "W33: HTTP statuses",
    arguments: [
      (200, StatusCode.unknown), (400, .internal), (401, .unauthenticated), (403, .permissionDenied),
      (404, .unimplemented), (429, .unavailable), (431, .internal), (500, .unknown), (502, .unavailable),
      (503, .unavailable), (504, .unavailable),
    ])
  func statuses(status: Int, expected: StatusCode) {
    #expect(StatusCode(httpStatus: status) == expected)
  }

  @Test(
    "W29, W36: grpc-status",
    arguments: [
      ("0", StatusCode.ok), ("00", .ok), ("16", .unauthenticated), ("17", nil), ("-1", nil), ("", nil), ("x", nil),
    ]
      as [(String, StatusCode?)])
  func grpcStatus(text: String, expected: StatusCode?) {
    #expect(StatusCode(grpcStatus: Array(text.utf8)) == expected)
  }

  @Test(
    "W8: what is gRPC",
    arguments: [
      ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc;charset=utf-8", true),
      ("Application/GRPC+json", true), ("application/grpc-web", false), ("application/grpcfoo", false),
      ("application/json", false), ("", false), ("text/plain", false),
    ])
  func contentTypes(text: String, expected: Bool) {
    #expect(ContentType.isGRPC(Array(text.utf8)) == expected)
  }
}
