import ServiceTestSupport
import Testing

@testable import ServiceCore

@Suite("Folding of names (DOMAIN 7)")
struct FoldingTests {
  /// The expected values come from CPython's unicodedata and str.casefold, not from our code.
  @Test(
    "folding removes case, diacritics, ligatures and punctuation",
    arguments: [
      ("O'Brien", "obrien"),
      ("O\u{2019}Brien", "obrien"),
      ("M\u{FC}ller", "muller"),
      ("M\u{DC}LLER", "muller"),
      ("Mu\u{308}ller", "muller"),
      ("Stra\u{DF}e", "strasse"),
      ("STRASSE", "strasse"),
      ("\u{D8}ster-\u{C5}s", "osteras"),
      ("\u{141}ukasz", "lukasz"),
      ("\u{110}\u{1EB7}ng", "dang"),
      ("\u{C6}gir", "aegir"),
      ("\u{152}uvre", "oeuvre"),
      ("I\u{15F}\u{131}k", "isik"),
      ("I\u{15E}IK", "isik"),
      ("\u{130}nci", "inci"),
      ("Anne-Marie", "annemarie"),
      ("St. John", "st john"),
      ("  van   der  Berg ", "van der berg"),
      ("Jos\u{E9}", "jose"),
      ("\u{D1}and\u{FA}", "nandu"),
      ("\u{FB01}sher", "fisher"),
      ("\u{FF37}\u{FF41}\u{FF4E}\u{FF47}", "wang"),
      ("\u{738B}\u{5C0F}\u{660E}", "\u{738B}\u{5C0F}\u{660E}"),
      ("\u{395}\u{3BB}\u{3AD}\u{3BD}\u{3B7}\u{3C2}", "\u{3B5}\u{3BB}\u{3B5}\u{3BD}\u{3B7}\u{3C3}"),
      ("\u{395}\u{39B}\u{395}\u{39D}\u{397}\u{3A3}", "\u{3B5}\u{3BB}\u{3B5}\u{3BD}\u{3B7}\u{3C3}"),
      ("\u{416}\u{430}\u{43D}\u{43D}\u{430}", "\u{436}\u{430}\u{43D}\u{43D}\u{430}"),
      ("\u{401}\u{41B}\u{41A}\u{418}\u{41D}", "\u{435}\u{43B}\u{43A}\u{438}\u{43D}"),
      ("\u{13F}ull", "l\u{B7}ull"),
      ("\u{14A}", "\u{14B}"),
      ("\u{149}", "n"),
      ("Smith\u{2010}Jones", "smithjones"),
      ("D\u{2019}Arcy-O\u{2032}", "darcyo\u{2032}"),
      ("\u{2167}", "viii"),
      ("\u{13E3}\u{13B3}\u{13A9}", "\u{13E3}\u{13B3}\u{13A9}"),
      ("\u{ABB3}\u{AB83}\u{AB79}", "\u{13E3}\u{13B3}\u{13A9}"),
      ("\u{1C5}", "dz"),
      ("\u{FB00}", "ff"),
      ("\u{939}\u{93F}\u{928}\u{94D}\u{926}\u{940}", "\u{939}\u{928}\u{926}"),
      ("\u{639}\u{628}\u{62F} \u{627}\u{644}\u{644}\u{647}", "\u{639}\u{628}\u{62F} \u{627}\u{644}\u{644}\u{647}"),
      ("\u{AE40}\u{CCA0}\u{C218}", "\u{1100}\u{1175}\u{11B7}\u{110E}\u{1165}\u{11AF}\u{1109}\u{116E}"),
      ("-.'", ""),
      ("\u{B2}", "2"),
      ("a\u{A0}b", "a b"),
      ("\u{17F}", "s"),
      ("\u{C5}", "a"),
      ("\u{C5}", "a"),
      ("\u{1E9E}", "ss"),
      ("\u{110}or\u{111}e", "dorde"),
      ("x\u{335}", "x"),
    ])
  func table(text: String, expected: String) {
    #expect(Array(fold(text).unicodeScalars) == Array(expected.unicodeScalars))
  }

  @Test("folding twice is folding once, and letter case never matters", arguments: [1, 2, 3, 4, 5])
  func laws(seed: UInt64) {
    var random = RandomSource.seeded(seed)
    for _ in 0..<400 {
      let text = randomName(using: &random)
      let folded = fold(text)
      #expect(fold(folded) == folded)
      #expect(fold(" \(text)  ") == folded)
      #expect(!folded.hasPrefix(" ") && !folded.hasSuffix(" ") && !folded.contains("  "))
    }
  }

  @Test("a prefix of a name is found by its fold, whatever its letter case")
  func prefixes() {
    for (name, prefix) in [("Müller", "MUL"), ("O’Brien", "o'b"), ("Straßer", "STRASS"), ("Łukasz", "luk")] {
      #expect(fold(name).hasPrefix(fold(prefix)))
    }
  }

  private func randomName(using random: inout RandomSource) -> String {
    var name = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let range: ClosedRange<UInt32> =
        [0x20...0x7E, 0xA0...0x24F, 0x300...0x5FF, 0x1E00...0x1FFF, 0xFB00...0xFB4F].randomElement(using: &random)
        ?? 0x41...0x5A
      if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) { name.append(scalar) }
    }
    return String(name)
  }
}
