/// The proto files that a server can show, indexed by all that server reflection asks for.
///
/// Built once from serialized `google.protobuf.FileDescriptorSet`s.
package struct DescriptorIndex: Sendable {
  private struct File {
    var serialized: [UInt8]
    var dependencies: [String]
  }

  private var files: [String: File] = [:]
  private var fileOfSymbol: [String: String] = [:]
  /// By extended type, then by number: the file that declares the extension.
  private var extensions: [String: [Int32: String]] = [:]
  /// Full names of all services of the files, sorted.
  package private(set) var services: [String] = []

  /// - Parameter fileDescriptorSets: a file may be in several of them if it is the same in all.
  /// - Throws: ``DescriptorError`` when one does not parse, two files have one name, or an import is missing.
  package init(fileDescriptorSets: [[UInt8]]) throws(DescriptorError) {
    for set in fileDescriptorSets {
      var reader = DescriptorWireReader(set[...])
      while let field = try reader.next() {
        guard field.number == 1, case .bytes(let value) = field.value else { continue }
        try add(FileDescriptorSummary(serialized: value))
      }
    }
    for (name, file) in files {
      for dependency in file.dependencies where files[dependency] == nil {
        throw DescriptorError("\(name) imports \(dependency), which is in no descriptor set.")
      }
    }
    services.sort()
  }

  private mutating func add(_ summary: FileDescriptorSummary) throws(DescriptorError) {
    if let known = files[summary.name] {
      guard known.serialized == summary.serialized else {
        throw DescriptorError("Two different files are called \(summary.name).")
      }
      return
    }
    files[summary.name] = File(serialized: summary.serialized, dependencies: summary.dependencies)
    for symbol in summary.symbols { fileOfSymbol[symbol] = summary.name }
    for item in summary.extensions { extensions[item.extendee, default: [:]][item.number] = summary.name }
    services += summary.services
  }
}

// MARK: - Queries

extension DescriptorIndex {
  package func contains(file: String) -> Bool { files[file] != nil }

  package func file(containingSymbol symbol: String) -> String? { fileOfSymbol[symbol] }

  package func file(containingExtension number: Int32, of type: String) -> String? { extensions[type]?[number] }

  /// Sorted; `nil` when there is no such message type.
  package func extensionNumbers(of type: String) -> [Int32]? {
    guard fileOfSymbol[type] != nil || extensions[type] != nil else { return nil }
    return extensions[type]?.keys.sorted() ?? []
  }

  /// The file, first, and those of its transitive imports that are not in `sent`, to which they are all added.
  package func serialized(file name: String, sent: inout Set<String>) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var queue = [name]
    var queued: Set<String> = [name]
    while let next = queue.popLast() {
      guard let file = files[next] else { continue }
      if sent.insert(next).inserted || result.isEmpty { result.append(file.serialized) }
      for dependency in file.dependencies where queued.insert(dependency).inserted { queue.append(dependency) }
    }
    return result
  }
}
