internal import Foundation

/// fold(x): the form in which names are compared and ordered, without regard to letter case and diacritics.
///
/// NFKD, combining marks removed, case folded, ligatures and stroked letters mapped to their base letters,
/// apostrophes, hyphens and periods dropped, white space collapsed. Folding what is folded changes nothing.
/// Source: DOMAIN 7.
package func fold(_ text: String) -> String {
  if text.utf8.allSatisfy({ $0 < 0x80 }) { return foldASCII(text) }
  // The mapping of one scalar can bring forth decomposable ones (İ → i and a dot), so the steps are repeated once.
  return foldOnce(foldOnce(text))
}

private func foldASCII(_ text: String) -> String {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(text.utf8.count)
  for byte in text.utf8 {
    switch byte {
    case 0x41...0x5A: bytes.append(byte | 0x20)
    case 0x27, 0x2D, 0x2E, 0x60: break
    case 0x09...0x0D, 0x20: if let last = bytes.last, last != 0x20 { bytes.append(0x20) }
    default: bytes.append(byte)
    }
  }
  if bytes.last == 0x20 { bytes.removeLast() }
  return String(decoding: bytes, as: UTF8.self)
}

private func foldOnce(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.decomposedStringWithCompatibilityMapping.unicodeScalars where !scalar.isDropped {
    if let base = baseLetters[scalar] {
      result.append(contentsOf: base.unicodeScalars)
    } else {
      for folded in scalar.caseFolding.unicodeScalars where !folded.isDropped {
        result.append(contentsOf: (baseLetters[folded] ?? String(folded)).unicodeScalars)
      }
    }
  }
  return result.trimmingWhitespace.collapsingWhitespace
}

/// Letters that do not decompose, in lower case.
private let baseLetters: [Unicode.Scalar: String] = [
  "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i",
]

extension Unicode.Scalar {
  /// Combining marks, apostrophes, hyphens and periods.
  fileprivate var isDropped: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .dashPunctuation: true
    default: isApostrophe || self == "." || self == "\u{AD}" || self == "\u{2212}"
    }
  }

  /// Typewriter and typographic apostrophes, their modifier letters, and the accent that is typed for one.
  private var isApostrophe: Bool {
    switch value {
    case 0x27, 0x60, 0x2018, 0x2019, 0x201B, 0x02B9, 0x02BB, 0x02BC: true
    default: false
    }
  }

  /// Full case folding of this scalar. The standard library offers no table of it; lower case of upper case equals it
  /// but for Cherokee, which folds to upper case.
  fileprivate var caseFolding: String {
    switch value {
    case 0x13A0...0x13F5: String(self)
    case 0x13F8...0x13FD, 0xAB70...0xABBF: properties.uppercaseMapping
    default:
      properties.uppercaseMapping.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
    }
  }
}
