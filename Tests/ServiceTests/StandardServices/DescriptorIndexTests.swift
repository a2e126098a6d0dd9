import Foundation
import StandardServices
import Testing

/// The index over a descriptor set that protoc wrote (`protoc --include_imports --descriptor_set_out`), from:
///
/// - lab/base.proto: `message Base { extensions 100 to 200; }`
/// - lab/other.proto, which imports base: `message Other`
/// - lab/lab.proto, which imports both: `message Sample` with a nested message that has an enum and declares extension
///   100 of Base, a oneof, extension 101 of Base, `enum Colour`, `service Lab { rpc Weigh }`
@Suite struct DescriptorIndexTests {
  private func index() throws -> DescriptorIndex {
    try DescriptorIndex(fileDescriptorSets: [DescriptorFixture.set])
  }

  @Test(
    "every kind of symbol leads to its file (W60)",
    arguments: [
      ("lab.Lab", "lab/lab.proto"), ("lab.Lab.Weigh", "lab/lab.proto"), ("lab.Sample", "lab/lab.proto"),
      ("lab.Sample.Part", "lab/lab.proto"), ("lab.Sample.Part.Shape", "lab/lab.proto"),
      ("lab.Sample.Part.SQUARE", "lab/lab.proto"), ("lab.Sample.Part.shape", "lab/lab.proto"),
      ("lab.Sample.Part.part", "lab/lab.proto"), ("lab.Sample.content", "lab/lab.proto"),
      ("lab.Sample.text", "lab/lab.proto"), ("lab.Colour", "lab/lab.proto"), ("lab.RED", "lab/lab.proto"),
      ("lab.weight", "lab/lab.proto"), ("lab.Base", "lab/base.proto"), ("lab.Base.id", "lab/base.proto"),
      ("lab.Other.base", "lab/other.proto"),
    ])
  func symbols(symbol: String, file: String) throws {
    #expect(try index().file(containingSymbol: symbol) == file)
  }

  @Test("what is not declared is not found", arguments: ["", "lab", "Lab", ".lab.Lab", "lab.Lab.Fly", "lab.Base.text"])
  func missing(symbol: String) throws {
    #expect(try index().file(containingSymbol: symbol) == nil)
  }

  @Test("extensions are found by type and number, wherever they are declared (W60)")
  func extensions() throws {
    let index = try index()
    #expect(index.extensionNumbers(of: "lab.Base") == [100, 101])
    #expect(index.extensionNumbers(of: "lab.Other") == [])
    #expect(index.extensionNumbers(of: "lab.Nothing") == nil)
    #expect(index.file(containingExtension: 100, of: "lab.Base") == "lab/lab.proto")
    #expect(index.file(containingExtension: 102, of: "lab.Base") == nil)
  }

  @Test("a file comes first, its transitive imports follow, and none of those twice in a stream (W60)")
  func imports() throws {
    let index = try index()
    var sent: Set<String> = []
    let files = index.serialized(file: "lab/lab.proto", sent: &sent)
    #expect(files.first == DescriptorFixture.file(2))
    #expect(Set(files) == Set((0...2).map(DescriptorFixture.file)))
    #expect(files.count == 3)
    #expect(index.serialized(file: "lab/other.proto", sent: &sent) == [DescriptorFixture.file(1)])
    var fresh: Set<String> = []
    #expect(
      index.serialized(file: "lab/other.proto", sent: &fresh)
        == [DescriptorFixture.file(1), DescriptorFixture.file(0)])
  }

  @Test("one file in two sets is one file; two files of one name are refused")
  func merging() throws {
    let twice = try DescriptorIndex(fileDescriptorSets: [DescriptorFixture.set, DescriptorFixture.set])
    #expect(twice.services == ["lab.Lab"])
    // A file lab/base.proto with nothing in it: field 1 of the set, holding field 1 (name).
    let name = Array("lab/base.proto".utf8)
    let other: [UInt8] = [0x0A, UInt8(name.count + 2), 0x0A, UInt8(name.count)] + name
    #expect(throws: DescriptorError.self) {
      try DescriptorIndex(fileDescriptorSets: [DescriptorFixture.set, other])
    }
  }

  @Test("a set that lacks an import is refused")
  func missingImport() {
    #expect(throws: DescriptorError.self) {
      try DescriptorIndex(fileDescriptorSets: [[0x0A, 0x58] + DescriptorFixture.file(1)])
    }
  }

  @Test("a set that is cut anywhere either still ends between two files or is refused, and nothing traps")
  func truncation() {
    var accepted: [Int] = []
    for count in 0..<DescriptorFixture.set.count {
      let cut = Array(DescriptorFixture.set.prefix(count))
      if (try? DescriptorIndex(fileDescriptorSets: [cut])) != nil { accepted.append(count) }
    }
    #expect(accepted == [0, DescriptorFixture.ends[0], DescriptorFixture.ends[1]])
  }

  @Test("messages nested beyond any use are refused instead of overflowing the stack")
  func depth() {
    var message: [UInt8] = [0x0A, 1, 0x6D]
    for _ in 0..<5_000 {
      message = [0x0A, 1, 0x6D, 0x1A] + varint(message.count) + message
    }
    let file: [UInt8] = [0x0A, 1, 0x66, 0x22] + varint(message.count) + message
    #expect(throws: DescriptorError.self) {
      try DescriptorIndex(fileDescriptorSets: [[0x0A] + varint(file.count) + file])
    }
  }

  private func varint(_ value: Int) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}

@Suite struct ReflectionAnswersTests {
  private func answers() throws -> ReflectionAnswers {
    ReflectionAnswers(
      index: try DescriptorIndex(fileDescriptorSets: [DescriptorFixture.set]), services: ["lab.Lab", "a.First"])
  }

  @Test("the services are those that the server serves, sorted")
  func services() throws {
    var answers = try answers()
    #expect(answers.answer(.services) == .services(["a.First", "lab.Lab"]))
  }

  @Test(
    "what is missing is an error in the stream, with code 5 (W60)",
    arguments: [
      ReflectionAnswers.Question.file(name: "nothing.proto"), .fileContainingSymbol("no.Symbol"),
      .fileContainingExtension(type: "lab.Base", number: 7), .extensionNumbers(type: "no.Type"),
    ])
  func missing(question: ReflectionAnswers.Question) throws {
    var answers = try answers()
    guard case .error(let code, let message) = answers.answer(question) else {
      Issue.record("expected an error")
      return
    }
    #expect(code == 5)
    #expect(!message.isEmpty)
  }

  @Test("files are found by name, by symbol and by extension")
  func files() throws {
    var answers = try answers()
    let base = DescriptorFixture.file(0)
    #expect(answers.answer(.file(name: "lab/base.proto")) == .files([base]))
    #expect(answers.answer(.fileContainingSymbol("lab.Base")) == .files([base]))
    guard case .files(let files) = answers.answer(.fileContainingExtension(type: "lab.Base", number: 101)) else {
      Issue.record("expected files")
      return
    }
    #expect(files.first == DescriptorFixture.file(2))
    #expect(answers.answer(.extensionNumbers(type: "lab.Base")) == .extensionNumbers(type: "lab.Base", [100, 101]))
  }

  @Test("a question of another protocol version is an invalid argument in the stream")
  func unknown() throws {
    var answers = try answers()
    guard case .error(let code, _) = answers.answer(.unknown) else {
      Issue.record("expected an error")
      return
    }
    #expect(code == 3)
  }
}

enum DescriptorFixture {
  static let set = [UInt8](Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data())

  /// Where each file's entry ends in the set: a tag byte, a length of one byte (two for the last), the file.
  static let ends = [2 + 52, 2 + 52 + 2 + 86, 2 + 52 + 2 + 86 + 3 + 370]

  static func file(_ index: Int) -> [UInt8] { Array(set[(ends[index] - [52, 86, 370][index])..<ends[index]]) }

  private static let base64 = """
    CjQKDmxhYi9iYXNlLnByb3RvEgNsYWIiHQoEQmFzZRIOCgJpZBgBIAEoCVICaWQqBQhkEMkBClYKD2xhYi9vdGhlci5wcm90bxID
    bGFiGg5sYWIvYmFzZS5wcm90byImCgVPdGhlchIdCgRiYXNlGAEgASgLMgkubGFiLkJhc2VSBGJhc2ViBnByb3RvMwryAgoNbGFi
    L2xhYi5wcm90bxIDbGFiGg5sYWIvYmFzZS5wcm90bxoPbGFiL290aGVyLnByb3RvItsBCgZTYW1wbGUSFAoEdGV4dBgBIAEoCUgA
    UgR0ZXh0EigKBXdob2xlGAIgASgLMhAubGFiLlNhbXBsZS5QYXJ0SABSBXdob2xlGoUBCgRQYXJ0EiwKBXNoYXBlGAEgASgOMhYu
    bGFiLlNhbXBsZS5QYXJ0LlNoYXBlUgVzaGFwZSIeCgVTaGFwZRIJCgVST1VORBAAEgoKBlNRVUFSRRABMi8KBHBhcnQSCS5sYWIu
    QmFzZRhkIAEoCzIQLmxhYi5TYW1wbGUuUGFydFIEcGFydEIJCgdjb250ZW50KhEKBkNvbG91chIHCgNSRUQQADInCgNMYWISIAoF
    V2VpZ2gSCy5sYWIuU2FtcGxlGgoubGFiLk90aGVyOiEKBndlaWdodBIJLmxhYi5CYXNlGGUgASgFUgZ3ZWlnaHQ=
    """
}
