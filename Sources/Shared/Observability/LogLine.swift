/// One log line under construction.
struct LogLine {
  private let format: LogFormat
  private var text: [UInt8] = []

  init(format: LogFormat) { self.format = format }

  mutating func add(_ key: String, _ value: String) {
    switch format {
    case .json:
      text.append(UInt8(ascii: text.isEmpty ? "{" : ","))
      quote(key)
      text.append(UInt8(ascii: ":"))
      quote(value)
    case .logfmt:
      if !text.isEmpty { text.append(UInt8(ascii: " ")) }
      text += key.utf8.map { Self.isBare($0) ? $0 : UInt8(ascii: "_") }
      text.append(UInt8(ascii: "="))
      if !value.isEmpty, value.utf8.allSatisfy(Self.isBare) { text += value.utf8 } else { quote(value) }
    }
  }

  /// The whole line with its end.
  var bytes: [UInt8] {
    switch format {
    case .json: text + Array("}\n".utf8)
    case .logfmt: text + Array("\n".utf8)
    }
  }

  /// A JSON string. Source: RFC 8259, 7; U+2028 and U+2029 too, which some readers take for line ends.
  private mutating func quote(_ value: String) {
    text.append(UInt8(ascii: "\""))
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += Array("\\\"".utf8)
      case "\\": text += Array("\\\\".utf8)
      case "\n": text += Array("\\n".utf8)
      case "\u{00}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += Array("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
      default: text += Array(String(scalar).utf8)
      }
    }
    text.append(UInt8(ascii: "\""))
  }

  private static func isBare(_ byte: UInt8) -> Bool {
    (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
      && byte != UInt8(ascii: "\\")
  }
}
