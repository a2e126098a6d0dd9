internal import CEncryptedVFS
internal import Foundation

/// Where a service takes its keys from. Never the command line, which every user of the machine can read.
package enum KeySource: Sendable, Hashable {
  /// A regular file of the service's user (or of root) that nobody else can read or write.
  case file(String)
  /// The name of a variable; its value stays in the process's environment.
  case environment(String)
  /// A command and its arguments, run without a shell, that prints the keys within ``commandTimeout`` and exits with 0; for
  /// key management services. Its standard error is the service's.
  case command([String])

  /// Bytes of text.
  static let maximumLength = 64 * 1024
  static let commandTimeout: Duration = .seconds(30)

  /// Reads the keys. Blocks.
  ///
  /// - Parameter commandTimeout: shorter in tests.
  package func load(commandTimeout: Duration = Self.commandTimeout) throws(KeyRingError) -> KeyRing {
    var text =
      switch self {
      case .file(let path): try Self.read(path: path)
      case .environment(let name): try Self.read(variable: name)
      case .command(let arguments): try Self.run(arguments, timeout: commandTimeout)
      }
    return try KeyRing(parsing: &text)
  }

  private static func read(path: String) throws(KeyRingError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .unreadable(source: path, reason: errorText()) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .unreadable(source: path, reason: errorText()) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(source: path, reason: "it is not a file") }
    let isOwn = status.st_uid == geteuid() || status.st_uid == 0
    guard isOwn, status.st_mode & (S_IRWXG | S_IRWXO) == 0 else { throw .notPrivate(path: path) }

    var text = [UInt8](repeating: 0, count: maximumLength + 1)
    var length = 0
    while length < text.count {
      let count = unsafe text.withUnsafeMutableBytes { bytes in
        unsafe Foundation.read(descriptor, bytes.baseAddress.map { unsafe $0 + length }, bytes.count - length)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        KeyRing.wipe(&text)
        throw .unreadable(source: path, reason: errorText())
      }
      if count == 0 { break }
      length += count
    }
    return try truncate(&text, to: length, source: path)
  }

  private static func read(variable name: String) throws(KeyRingError) -> [UInt8] {
    guard let value = unsafe getenv(name) else {
      throw .unreadable(source: "the variable \(name)", reason: "it is not set")
    }
    let length = unsafe strlen(value)
    guard length <= maximumLength else { throw .tooLong(source: "The variable \(name)") }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: value, count: length))
  }

  private static func run(_ arguments: [String], timeout: Duration) throws(KeyRingError) -> [UInt8] {
    guard let name = arguments.first, !name.isEmpty else {
      throw .unreadable(source: "a command", reason: "it has no name")
    }
    let source = "the command \(name)"
    var text = [UInt8](repeating: 0, count: maximumLength)
    var status: Int32 = 0
    let milliseconds = Int32(clamping: Int(timeout / .milliseconds(1)))
    let length = unsafe withCStrings(arguments) { arguments in
      unsafe text.withUnsafeMutableBufferPointer { text in
        unsafe cev_run_command(arguments, milliseconds, text.baseAddress, text.count, &status)
      }
    }
    switch length {
    case 0...: return try truncate(&text, to: length, source: source)
    case -1: throw .unreadable(source: source, reason: "it could not be started")
    case -3: throw .unreadable(source: source, reason: "it took longer than \(timeout)")
    case -4: throw .tooLong(source: "The output of \(source)")
    default: throw .unreadable(source: source, reason: "it failed (\(describe(status: status)))")
    }
  }

  /// The beginning of `text`, which is wiped.
  private static func truncate(
    _ text: inout [UInt8], to length: Int, source: String
  ) throws(KeyRingError) -> [UInt8] {
    defer { KeyRing.wipe(&text) }
    guard length <= maximumLength else { throw .tooLong(source: source) }
    return Array(text[..<length])
  }

  private static func errorText() -> String { unsafe String(cString: strerror(errno)) }

  /// As in wait(2).
  private static func describe(status: Int32) -> String {
    status & 0x7f == 0 ? "exit status \(status >> 8 & 0xff)" : "signal \(status & 0x7f)"
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
  ) -> Result {
    let copies = unsafe strings.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    let pointers = unsafe copies.map { unsafe $0.map { unsafe UnsafePointer($0) } } + [nil]
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
  }
}
