internal import FoundationEssentials
internal import Glibc
package import Logging

/// How log lines are written.
package enum LogFormat: String, Sendable, CaseIterable {
  case json, logfmt
}

/// A swift-log backend that writes one line for each message, as JSON or logfmt, to standard error.
///
/// A line is written with one system call, so that lines of several threads never mix. Control characters are escaped:
/// what a peer sent cannot begin a line of its own.
package struct LineLogHandler: LogHandler {
  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?

  private let label: String
  private let format: LogFormat
  private let write: @Sendable ([UInt8]) -> Void

  package init(
    label: String, level: Logger.Level, format: LogFormat,
    write: @escaping @Sendable ([UInt8]) -> Void = LineLogHandler.writeToStandardError
  ) {
    self.label = label
    self.logLevel = level
    self.format = format
    self.write = write
  }

  /// Makes it the backend of every logger of the process. To be called once, at the start.
  package static func bootstrap(level: Logger.Level, format: LogFormat) {
    LoggingSystem.bootstrap { LineLogHandler(label: $0, level: level, format: format) }
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
    if let own = event.metadata { fields.merge(own) { _, new in new } }
    var line = LogLine(format: format)
    line.add("time", Date().formatted(Self.timestamp))
    line.add("level", event.level.rawValue)
    line.add("logger", label)
    line.add("message", event.message.description)
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) { line.add(key, value.description) }
    write(line.bytes)
  }

  private static let timestamp = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  @Sendable package static func writeToStandardError(_ line: [UInt8]) {
    var rest = line[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        // Nobody reads any more; a service does not end for that.
        return
      }
    }
  }
}
