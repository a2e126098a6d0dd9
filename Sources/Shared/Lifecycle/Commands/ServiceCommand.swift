package import ArgumentParser
internal import Glibc

/// The command line of a service: `serve` (the default), and what its operator does with its store.
package struct ServiceCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  package static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: Definition.name, abstract: Definition.abstract, version: ServiceVersion.current,
      subcommands: [
        ServeCommand<Definition>.self, BackupCommand.self, RestoreCommand<Definition>.self,
        VerifyCommand<Definition>.self, RekeyCommand.self, DescribeCommand<Definition>.self, DevTokenCommand.self,
      ],
      defaultSubcommand: ServeCommand<Definition>.self)
  }

  package init() {}
}

package enum ServiceVersion {
  package static let current = "0.1.0"
}

extension LaunchFailure {
  /// Tells the operator, one line for each fault, and makes what ends the command with the right code.
  func report() -> ExitCode {
    for sentence in sentences { CommandOutput.error("error: \(sentence)") }
    return ExitCode(kind.rawValue)
  }
}

/// What commands say to a person; logs have their own way.
enum CommandOutput {
  static func line(_ text: String) { print(text) }

  static func error(_ text: String) {
    var rest = Array("\(text)\n".utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }
}
