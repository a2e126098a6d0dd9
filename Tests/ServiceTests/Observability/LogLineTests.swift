import Foundation
import Logging
import Synchronization
import Testing

@testable import Observability

@Suite("Log lines")
struct LogLineTests {
  private func lines(_ format: LogFormat, _ body: (Logger) -> Void) -> [String] {
    let written = Mutex<[String]>([])
    let logger = Logger(label: "clinic") { label in
      LineLogHandler(label: label, level: .info, format: format) { line in
        written.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
      }
    }
    body(logger)
    return written.withLock { $0 }
  }

  private static let odd = "a \"b\" \\ \n \u{1} \u{2028} é \u{1F600} \u{7F} ="

  @Test("JSON is one line that Foundation reads back")
  func json() throws {
    let lines = lines(.json) { $0.warning("said", metadata: ["odd": "\(Self.odd)", "other": "1"]) }
    let line = try #require(lines.first)
    #expect(lines.count == 1)
    #expect(line.hasSuffix("}\n"))
    #expect(line.filter(\.isNewline) == "\n")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
    #expect(object["odd"] == Self.odd)
    #expect(object["level"] == "warning")
    #expect(object["logger"] == "clinic")
    #expect(object["message"] == "said")
    #expect(object["time"]?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
  }

  @Test("logfmt quotes what is not bare, and never breaks the line")
  func logfmt() throws {
    let lines = lines(.logfmt) { $0.info("two words", metadata: ["k": "bare", "odd": "a\nb=\"c\"", "none": ""]) }
    let line = try #require(lines.first)
    #expect(line.hasSuffix(#"message="two words" k=bare none="" odd="a\nb=\"c\"""# + "\n"))
  }

  @Test("what is below the level is not written")
  func level() {
    #expect(lines(.json) { $0.debug("quiet") }.isEmpty)
  }
}
