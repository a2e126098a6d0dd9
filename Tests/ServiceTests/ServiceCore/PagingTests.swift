import Identity
import MemoryEngine
import ServiceTestSupport
import Storage
import Testing

@testable import ServiceCore

@Suite("Pages and their tokens (DOMAIN 7)")
struct PagingTests {
  private let tokens = PageTokens(key: .init(repeating: 1, count: 32))
  private let position = ["doe\u{01}john", "550e8400-e29b-41d4-a716-446655440000"]

  private func binding(
    method: String = "/s/List", by principal: Principal = .init(id: "c1", role: .clinician), filters: String = "f"
  ) throws -> PageTokens.Binding {
    try .init(method: method, principal: principal, filters: TextMessage(filters))
  }

  @Test("a token gives its place back, is URL-safe and shows nothing of the place")
  func roundTrip() throws {
    for length in 0..<20 {
      let position = [String(repeating: "é", count: length), "x"]
      let token = try tokens.seal(position, binding: binding())
      #expect(try tokens.open(token, binding: binding()) == position)
      #expect(token.utf8.allSatisfy { Character(Unicode.Scalar($0)).isLetter || "0123456789-_".utf8.contains($0) })
    }
  }

  @Test("a token is good for one method, caller and filter")
  func bound() throws {
    let token = try tokens.seal(position, binding: binding())
    let others = try [
      binding(method: "/s/Search"), binding(by: .init(id: "c2", role: .clinician)),
      binding(by: .init(id: "c1", role: .delegate)),
      binding(by: .init(id: "s", role: .service, onBehalfOf: .init(id: "c1", role: .clinician))),
      binding(filters: "g"),
    ]
    for other in others { #expect(tokens.open(token, binding: other) == nil) }
    #expect(try PageTokens(key: .init(repeating: 2, count: 32)).open(token, binding: binding()) == nil)
  }

  @Test("a token with any character changed, cut or added is none")
  func tampered() throws {
    let token = try tokens.seal(position, binding: binding())
    let binding = try binding()
    for index in token.indices {
      var changed = token
      changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
      #expect(tokens.open(changed, binding: binding) == nil)
      #expect(tokens.open(String(token[..<index]), binding: binding) == nil)
    }
    for text in [token + "A", token + "=", " " + token, "not a token", "é", String(repeating: "A", count: 9000)] {
      #expect(tokens.open(text, binding: binding) == nil)
    }
  }

  @Test(
    "page sizes have a default and a bound", arguments: [(0, 50), (1, 1), (200, 200), (201, 200), (Int32.max, 200)])
  func sizes(requested: Int32, size: Int) {
    var violations = FieldViolations()
    #expect(violations.pageSize(requested) == size)
    #expect(violations.isEmpty)
  }

  @Test("a negative page size is refused")
  func negativeSize() {
    var violations = FieldViolations()
    _ = violations.pageSize(-1)
    #expect(violations.all.map(\.field) == ["page_size"])
  }

  @Test("all instances that start at the same time share one key, which outlives them")
  func sharedKey() async throws {
    let table = TableSchema(name: "things")
    let store = MemoryStore(tables: [table])
    let errors = ServiceErrors(domain: .patient)
    let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<8 {
        group.addTask { try await PageTokenKey.load(from: store, table: table, errors: errors) }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(keys.count == 1)
    #expect(keys.first?.count == 32)
    #expect(try await keys.contains(PageTokenKey.load(from: store, table: table, errors: errors)))
  }
}
