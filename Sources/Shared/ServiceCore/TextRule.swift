internal import Foundation

/// How free text is cleaned and what it may be.
///
/// Lengths count Unicode scalars after cleaning. Text is always brought to NFC, so that equal names are equal bytes.
package struct TextRule: Sendable, Hashable {
  /// Which control and format characters are legal.
  package enum Controls: Sendable, Hashable {
    /// None: names. Joiners (U+200C, U+200D) may stand after a letter or mark beyond ASCII, where scripts such as
    /// Persian and Sinhala need them to spell.
    case none
    /// Line breaks and tabs: texts of several lines.
    case linesAndTabs
    /// Everything but NUL: notes.
    case allButNull
  }

  package var minLength: Int
  package var maxLength: Int
  package var controls: Controls
  /// Remove white space at both ends.
  package var trims: Bool
  /// Replace each run of white space by one space.
  package var collapsesSpaces: Bool

  package init(
    minLength: Int = 1, maxLength: Int, controls: Controls = .none, trims: Bool = true, collapsesSpaces: Bool = false
  ) {
    self.minLength = minLength
    self.maxLength = maxLength
    self.controls = controls
    self.trims = trims
    self.collapsesSpaces = collapsesSpaces
  }

  /// A person's first or last name. Source: DOMAIN 2.
  package static let name = TextRule(maxLength: 100, collapsesSpaces: true)
  /// A member of an address. Source: DOMAIN 2.
  package static let addressMember = TextRule(maxLength: 200, controls: .linesAndTabs)
  /// The reason of a cancellation, a correction or a time block. Source: DOMAIN 4 and 5.
  package static let reason = TextRule(maxLength: 500, controls: .linesAndTabs)
  /// The notes of an appointment; they may be empty and keep their white space. Source: DOMAIN 4.
  package static let notes = TextRule(minLength: 0, maxLength: 10_000, controls: .allButNull, trims: false)
}

extension FieldViolations {
  /// The cleaned text of a field; `nil` after having noted what is wrong with it.
  package mutating func text(_ value: String, _ rule: TextRule, at field: String) -> String? {
    guard rule.allowsControls(of: value) else {
      add(.malformed, at: field, "Control and format characters are not allowed.")
      return nil
    }
    let clean = rule.clean(value)
    let length = clean.unicodeScalars.count
    if length == 0, rule.minLength > 0 {
      add(.required, at: field, "It must not be blank.")
    } else if length < rule.minLength {
      add(.malformed, at: field, "It must have at least \(rule.minLength) characters.")
    } else if length > rule.maxLength {
      add(.tooLong, at: field, "It must have at most \(rule.maxLength) characters.")
    } else {
      return clean
    }
    return nil
  }
}

extension TextRule {
  /// NFC, then trimmed and collapsed as the rule says.
  package func clean(_ value: String) -> String {
    let normal = value.utf8.allSatisfy { $0 < 0x80 } ? value : value.precomposedStringWithCanonicalMapping
    let scalars = trims ? normal.unicodeScalars.trimmingWhitespace : normal.unicodeScalars[...]
    return collapsesSpaces ? scalars.collapsingWhitespace : String(scalars)
  }

  func allowsControls(of value: String) -> Bool {
    var previous: Unicode.Scalar?
    for scalar in value.unicodeScalars {
      defer { previous = scalar }
      if !scalar.isControlOrFormat { continue }
      let isAllowed =
        switch controls {
        case .none: scalar.isJoiner && previous.map(\.takesJoiner) == true
        case .linesAndTabs: scalar == "\n" || scalar == "\r" || scalar == "\t" || scalar.isJoiner
        case .allButNull: scalar != "\0"
        }
      if !isAllowed { return false }
    }
    return true
  }
}

extension Unicode.Scalar {
  /// C0, C1, format characters (bidirectional overrides among them), line and paragraph separators.
  package var isControlOrFormat: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  fileprivate var isJoiner: Bool { self == "\u{200C}" || self == "\u{200D}" }

  fileprivate var takesJoiner: Bool {
    !isASCII && (properties.isAlphabetic || properties.generalCategory == .nonspacingMark)
  }
}

extension String.UnicodeScalarView {
  var trimmingWhitespace: SubSequence {
    var rest = drop { $0.properties.isWhitespace }
    while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
    return rest
  }
}

extension Substring.UnicodeScalarView {
  /// Each run of white space as one U+0020.
  var collapsingWhitespace: String {
    var result = String.UnicodeScalarView()
    for scalar in self {
      if !scalar.properties.isWhitespace {
        result.append(scalar)
      } else if result.last != " " {
        result.append(" ")
      }
    }
    return String(result)
  }
}
