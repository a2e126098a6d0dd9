internal import ArgumentParser
internal import Configuration

/// The flags that say where the store's keys come from; at most one of them.
struct StoreKeyOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The store's keys, one id:hex per line, the newest last; mode 0600.", valueName: "file"))
  var storeKeyFile: String?

  @Option(help: ArgumentHelp("The environment variable that holds the store's keys.", valueName: "name"))
  var storeKeyVariable: String?

  @Option(
    help: ArgumentHelp("A command, run without a shell, that prints the store's keys.", valueName: "command"))
  var storeKeyCommand: String?

  /// What was given on the command line.
  var values: [Setting: ConfigValue] {
    let texts: [(Setting, String?)] = [
      (.storeKeyFile, storeKeyFile), (.storeKeyVariable, storeKeyVariable), (.storeKeyCommand, storeKeyCommand),
    ]
    var values: [Setting: ConfigValue] = [:]
    for case (let setting, let text?) in texts { values[setting] = ConfigValue(.string(text), isSecret: false) }
    return values
  }
}
