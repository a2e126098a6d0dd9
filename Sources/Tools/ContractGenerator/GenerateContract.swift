internal import ArgumentParser
internal import Foundation

/// Turns compiled proto files into Swift types and into the lowered descriptors that protoc-c compiles.
///
/// `proto/generate.sh` calls it; its doc comments say what each step is for.
@main
struct GenerateContract: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate-contract", abstract: "Generates Swift and lowered descriptors from a FileDescriptorSet.")

  @Option(help: "A FileDescriptorSet made by protoc with --include_imports --include_source_info.")
  var descriptorSet: String

  @Option(help: "Where to write the lowered FileDescriptorSet for protoc-c.")
  var lowered: String

  @Option(help: "The folder for C sources, beside those of protoc-c.")
  var cOutput: String

  @Option(help: "The folder for Swift sources of clinicavoice packages.")
  var contractOutput: String

  @Option(help: "The folder for Swift sources of google and grpc packages.")
  var standardOutput: String

  func run() throws {
    let schema = try SchemaReader.read([UInt8](Data(contentsOf: URL(fileURLWithPath: descriptorSet))))
    try SchemaChecks.run(schema)
    try write(Lowering.descriptorSet(of: schema), to: lowered)

    let contract = ModuleEmitter(
      schema: schema, name: "Contract", files: schema.files.filter { SwiftNames.isContract($0.package) })
    let standard = ModuleEmitter(
      schema: schema, name: "Standard", files: schema.files.filter { !SwiftNames.isContract($0.package) })
    for (module, folder) in [(contract, contractOutput), (standard, standardOutput)] where !module.files.isEmpty {
      try write(module.emit(), to: "\(folder)/\(module.name)Module.swift")
      for file in module.files {
        let stem = "\(folder)/\(CNames.stem(file.name))"
        if !file.allMessages.isEmpty || !file.allEnums.isEmpty {
          try write(TypeEmitter(schema: schema, file: file).emit(), to: stem + ".swift")
        }
        if !file.allMessages.isEmpty {
          try write(CodecEmitter(schema: schema, file: file).emit(), to: stem + "+Codec.swift")
        }
        if !file.services.isEmpty {
          for part in ServiceEmitter(schema: schema, file: file).emit() {
            try write(part.source, to: "\(stem)\(part.suffix).swift")
          }
        }
      }
    }
    let modules = [contract, standard].filter { !$0.files.isEmpty }
    try write(
      CModuleEmitter.umbrella(of: schema, declarations: modules.map { $0.emitHeader() }), to: "\(cOutput)/messages.h")
    try write(CModuleEmitter.descriptors(modules.map { $0.emitSource() }), to: "\(cOutput)/descriptors.c")
    // protoc-c makes a source for each of these.
    print(schema.files.filter { !$0.messages.isEmpty }.map { CNames.file($0.name) }.joined(separator: "\n"))
  }

  private func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

  private func write(_ bytes: [UInt8], to path: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }
}
