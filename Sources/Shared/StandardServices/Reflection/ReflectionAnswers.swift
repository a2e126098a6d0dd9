internal import RPC

/// Answers the questions of one reflection stream, whichever version of the protocol it speaks.
///
/// Source: grpc/reflection/v1/reflection.proto; WIRE W60.
package struct ReflectionAnswers: Sendable {
  package enum Question: Sendable, Hashable {
    case file(name: String)
    case fileContainingSymbol(String)
    case fileContainingExtension(type: String, number: Int32)
    case extensionNumbers(type: String)
    case services
    /// A request without a question, or with one of a later version.
    case unknown
  }

  package enum Answer: Sendable, Hashable {
    case files([[UInt8]])
    case extensionNumbers(type: String, [Int32])
    case services([String])
    case error(code: Int32, message: String)
  }

  private let index: DescriptorIndex
  private let services: [String]
  /// Files that the stream has carried.
  private var sent: Set<String> = []

  /// - Parameter services: the full names of what the server really serves.
  package init(index: DescriptorIndex, services: [String]) {
    self.index = index
    self.services = services.sorted()
  }

  package mutating func answer(_ question: Question) -> Answer {
    switch question {
    case .file(let name): files(index.contains(file: name) ? name : nil, "No file '\(name)'.")
    case .fileContainingSymbol(let symbol): files(index.file(containingSymbol: symbol), "No symbol '\(symbol)'.")
    case .fileContainingExtension(let type, let number):
      files(index.file(containingExtension: number, of: type), "No extension \(number) of '\(type)'.")
    case .extensionNumbers(let type):
      if let numbers = index.extensionNumbers(of: type) {
        .extensionNumbers(type: type, numbers)
      } else {
        .error(code: Self.notFound, message: "No type '\(type)'.")
      }
    case .services: .services(services)
    case .unknown: .error(code: Self.invalidArgument, message: "The request asks for nothing that is known here.")
    }
  }

  private mutating func files(_ name: String?, _ missing: @autoclosure () -> String) -> Answer {
    guard let name else { return .error(code: Self.notFound, message: missing()) }
    return .files(index.serialized(file: name, sent: &sent))
  }

  private static let notFound = Int32(StatusCode.notFound.rawValue)
  private static let invalidArgument = Int32(StatusCode.invalidArgument.rawValue)
}
