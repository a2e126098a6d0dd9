import ServiceTestSupport
import Testing

@testable import ServiceCore

@Suite("Text of requests (DOMAIN 2, 4)")
struct TextTests {
  private func check(_ value: String, _ rule: TextRule) -> (text: String?, violations: [String]) {
    var violations = FieldViolations()
    let text = violations.text(value, rule, at: "f")
    return (text, violations.all.map(\.reason))
  }

  @Test(
    "names are trimmed, collapsed and brought to NFC",
    arguments: [
      ("  Ann  ", "Ann"), ("Mary   Jane", "Mary Jane"), ("Mu\u{308}ller", "M\u{FC}ller"),
      ("Ann\u{A0}\u{3000}Lee", "Ann Lee"), ("X", "X"), ("3rd", "3rd"), ("\u{738B}", "\u{738B}"),
      // Persian spells with a zero-width non-joiner.
      ("\u{646}\u{6CC}\u{200C}\u{646}", "\u{646}\u{6CC}\u{200C}\u{646}"),
    ])
  func cleaned(value: String, expected: String) {
    let (text, violations) = check(value, .name)
    #expect(text.map { Array($0.unicodeScalars) } == Array(expected.unicodeScalars))
    #expect(violations.isEmpty)
  }

  @Test("blank names are missing names", arguments: ["", " ", "\u{A0}\u{2003}"])
  func blank(value: String) {
    #expect(check(value, .name).violations == ["REQUIRED"])
  }

  @Test(
    "control and format characters are refused in names",
    arguments: [
      "a\0b", "a\tb", "a\nb", "Ann\n", "a\u{7F}", "a\u{85}b", "a\u{202E}b", "a\u{2066}b", "a\u{2028}b", "a\u{2029}",
      "\u{FEFF}a", "a\u{200B}b", "a\u{200D}b", "\u{200C}",
    ])
  func controls(value: String) {
    #expect(check(value, .name).violations == ["MALFORMED"])
  }

  @Test("a name has at most 100 scalars, counted after cleaning")
  func length() {
    #expect(check(String(repeating: "\u{1F600}", count: 100), .name).violations == [])
    #expect(check("  " + String(repeating: "e\u{301}", count: 100) + "  ", .name).violations == [])
    #expect(check(String(repeating: "a", count: 101), .name).violations == ["TOO_LONG"])
  }

  @Test("reasons have 1 to 500 characters and may have lines")
  func reasons() {
    #expect(check(" moved\nabroad ", .reason).text == "moved\nabroad")
    #expect(check(String(repeating: "a", count: 500), .reason).violations == [])
    #expect(check(String(repeating: "a", count: 501), .reason).violations == ["TOO_LONG"])
    #expect(check(" \n ", .reason).violations == ["REQUIRED"])
  }

  @Test("notes may be empty, keep their white space and have no NUL")
  func notes() {
    #expect(check("", .notes).text == "")
    #expect(check(" a\n\tb ", .notes).text == " a\n\tb ")
    #expect(check("a\0", .notes).violations == ["MALFORMED"])
    #expect(check(String(repeating: "\u{E9}", count: 10_000), .notes).violations == [])
    #expect(check(String(repeating: "a", count: 10_001), .notes).violations == ["TOO_LONG"])
  }
}
