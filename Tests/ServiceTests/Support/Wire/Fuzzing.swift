internal import FoundationEssentials

/// How long a fuzz test runs: a few hundred seeds, or as many as fit into CLINICAVOICE_FUZZ_SECONDS, from
/// CLINICAVOICE_FUZZ_SEED on. The same seed does the same; a failure names its own.
package enum FuzzRun {
  package static func seeds(_ rounds: Int) -> some Sequence<UInt64> {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["CLINICAVOICE_FUZZ_SEED"].flatMap(UInt64.init) ?? 0
    let end = environment["CLINICAVOICE_FUZZ_SECONDS"].flatMap(Double.init)
      .map { ContinuousClock.now.advanced(by: .seconds($0)) }
    return sequence(state: first) { next -> UInt64? in
      defer { next &+= 1 }
      if let end { return ContinuousClock.now < end ? next : nil }
      return next - first < UInt64(rounds) ? next : nil
    }
  }
}

/// Damages bytes at random.
package struct Mutator {
  package var random: SeededGenerator

  package init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  package mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  /// Changes up to `most` places, none before `start`.
  package mutating func mutate(_ bytes: [UInt8], from start: Int = 0, most: Int = 6) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<number(0...most) {
      guard bytes.count > start else { return bytes }
      let place = number(start...bytes.count - 1)
      switch number(0...6) {
      case 0: bytes[place] ^= 1 << UInt8(number(0...7))
      case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF].randomElement(using: &random) ?? 0
      case 2: bytes.insert(UInt8(number(0...255)), at: place)
      case 3: bytes.remove(at: place)
      case 4: bytes.removeSubrange(place..<min(bytes.count, place + number(1...40)))
      case 5: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + number(1...60))], at: place)
      default:
        let other = number(start...bytes.count - 1)
        bytes.swapAt(place, other)
      }
    }
    return bytes
  }

  /// The same bytes in pieces of random lengths.
  package mutating func cut(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var rest = bytes[...]
    let longest = [3, 40, 400, 100_000].randomElement(using: &random) ?? 1
    while !rest.isEmpty {
      let length = number(1...longest)
      pieces.append(rest.prefix(length))
      rest = rest.dropFirst(length)
    }
    return pieces
  }
}
