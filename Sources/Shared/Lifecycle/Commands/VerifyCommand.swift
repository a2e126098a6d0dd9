internal import ArgumentParser

/// Checks the store.
struct VerifyCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(commandName: "verify", abstract: "Check the store of a stopped service.")
  }
  func run() async throws {}
}
