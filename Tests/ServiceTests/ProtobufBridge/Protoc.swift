internal import Contract
internal import Foundation
internal import StandardProtos
internal import Subprocess

@testable internal import generate_contract

/// `protoc --decode` and `--encode`, the oracle of the codec's tests.
///
/// One process answers for many messages: they travel as the fields of one message made for it, `Batch`, which holds
/// a repeated field of each type.
struct Protoc {
  let schema: Schema
  /// The full names of all message types of the contract and the standard packages; field n+1 of `Batch` is name n.
  let names: [String]
  private let folder: URL

  init() throws {
    let files = try [ContractDescriptors.fileDescriptorSet, StandardDescriptors.fileDescriptorSet]
      .flatMap { try SchemaReader.read($0).files }
    var seen: Set<String> = []
    schema = Schema(files: files.filter { seen.insert($0.name).inserted })
    names = schema.messages.values.filter { !$0.isMapEntry }.map(\.fullName).sorted()
    folder = FileManager.default.temporaryDirectory.appending(path: "protoc-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(descriptorSet()).write(to: folder.appending(path: "set.pb"))
  }

  func remove() throws { try FileManager.default.removeItem(at: folder) }

  /// The text form of a serialized message; `nil` when protoc refuses it.
  func text(of bytes: [UInt8], as name: String) async throws -> String? {
    try await run(["--decode=\(name)"], input: bytes).map { String(decoding: $0, as: UTF8.self) }
  }

  func text(ofBatch bytes: [UInt8]) async throws -> String? { try await text(of: bytes, as: "Batch") }

  /// The canonical bytes of a text form.
  func bytes(ofBatch text: String) async throws -> [UInt8]? {
    try await run(["--deterministic_output", "--encode=Batch"], input: Array(text.utf8))
  }

  /// Messages, by name, as one batch.
  static func batch(_ messages: [[[UInt8]]]) -> [UInt8] {
    var result: [UInt8] = []
    for (index, samples) in messages.enumerated() {
      for sample in samples { result += tag(index + 1, 2) + delimited(sample) }
    }
    return result
  }

  /// The input is a file, not a pipe: protoc may refuse it before it has read it all, and a pipe without a reader raises
  /// SIGPIPE.
  private func run(_ arguments: [String], input: [UInt8]) async throws -> [UInt8]? {
    let file = folder.appending(path: "\(UUID().uuidString).in")
    try Data(input).write(to: file)
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    let result = try await Subprocess.run(
      .name("protoc"),
      arguments: .init(
        ["--descriptor_set_in=\(folder.appending(path: "set.pb").path)"] + arguments + ["batch.proto"]),
      input: .fileDescriptor(.init(rawValue: handle.fileDescriptor), closeAfterSpawningProcess: false),
      output: .bytes(limit: 64 << 20))
    return result.terminationStatus.isSuccess ? result.standardOutput : nil
  }

  private func descriptorSet() -> [UInt8] {
    var set = WireWriter()
    for file in schema.files { set.data(1, file.serialized) }
    set.message(1) { file in
      file.string(1, "batch.proto")
      for dependency in schema.files { file.string(3, dependency.name) }
      file.message(4) { message in
        message.string(1, "Batch")
        for (index, name) in names.enumerated() {
          message.message(2) { field in
            field.string(1, "field\(index + 1)")
            field.int(3, index + 1)
            field.int(4, 3)
            field.int(5, Field.Kind.message.rawValue)
            field.string(6, "." + name)
          }
        }
      }
      file.string(12, "proto3")
    }
    return set.bytes
  }
}
