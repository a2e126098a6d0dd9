internal import ArgumentParser
internal import Configuration
internal import FoundationEssentials

/// Runs the service until a signal ends it.
struct ServeCommand<Definition: ServiceDefinition>: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "serve", abstract: "Run the service (the default).",
      discussion: """
        Every setting may also stand in the environment (CLINICAVOICE_ and its name in capitals, such as \
        CLINICAVOICE_TLS_CERT) or in a JSON file (--config). A flag wins over the environment, and that over the file.
        """)
  }

  @OptionGroup var options: ServeOptions
  @OptionGroup var more: Definition.Options

  func run() async throws {
    do throws(LaunchFailure) {
      let configuration = try readConfiguration()
      if options.printConfiguration {
        CommandOutput.line(configuration.json)
      } else {
        try await ServiceRunner<Definition>(configuration).run()
      }
    } catch {
      throw error.report()
    }
  }

  private func readConfiguration() throws(LaunchFailure) -> ServeConfiguration {
    let flags = options.values.merging(more.values.mapValues { ConfigValue(.string($0), isSecret: false) }) { $1 }
    return try ServeConfiguration.read(
      flags: flags, environment: ProcessInfo.processInfo.environment, configurationFile: options.config,
      dialsPatientService: Definition.Options.dialsPatientService)
  }
}
