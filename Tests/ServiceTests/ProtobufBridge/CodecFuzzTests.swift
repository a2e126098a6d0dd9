internal import Contract
internal import ProtobufBridge
internal import StandardProtos
internal import TestSupport
internal import Testing

@Suite("The codec under damaged bytes")
struct CodecFuzzTests {
  /// Decodes as `type`; what is accepted must say the same after it was encoded and decoded again.
  private func isStable<Message: ProtobufMessage & Equatable>(_ type: Message.Type, _ bytes: [UInt8]) throws -> Bool {
    guard let message = try? Message(serializedBytes: bytes) else { return true }
    return try Message(serializedBytes: message.serializedBytes()) == message
  }

  /// Fields with any number of the contract's: texts, numbers, messages and packed lists.
  private func fields(_ mutator: inout Mutator, depth: Int = 0) -> [UInt8] {
    (0..<mutator.number(0...8)).flatMap { _ in
      let number = mutator.number(1...45)
      switch mutator.number(0...3) {
      case 0: return tag(number, 0) + varint(UInt64(mutator.number(0...1 << 40)))
      case 1: return tag(number, 2) + delimited(Array("text \(number) é".utf8))
      case 2 where depth < 4: return tag(number, 2) + delimited(fields(&mutator, depth: depth + 1))
      default: return tag(number, 2) + delimited((0..<mutator.number(0...5)).flatMap { varint(UInt64($0) << 7) })
      }
    }
  }

  @Test("bytes are refused, or mean the same after a round trip")
  func damaged() throws {
    for seed in FuzzRun.seeds(3000) {
      var mutator = Mutator(seed: seed)
      let bytes = mutator.mutate(fields(&mutator))
      #expect(try isStable(PatientV1.Patient.self, bytes), "seed \(seed)")
      #expect(try isStable(PatientV1.ListPatientsResponse.self, bytes), "seed \(seed)")
      #expect(try isStable(AppointmentV1.Appointment.self, bytes), "seed \(seed)")
      #expect(try isStable(GoogleRPC.Status.self, bytes), "seed \(seed)")
    }
  }
}
