import Files

/// A command with its options and subcommands, as the argument parser describes itself (`--experimental-dump-help`).
/// Completion and the manual pages are made from it, so that they follow every change of an option.
struct CommandDescription {
    /// An option, a flag or a positional argument.
    struct Argument {
        /// What it is on the command line.
        enum Kind: String { case positional, option, flag }

        let kind: Kind
        /// With their dashes, short ones first: `-o`, `--output`.
        let names: [String]
        /// The placeholder of its value, such as DIR or NAME=FILE.
        let placeholder: String
        let summary: String
        /// The heading that `--help` lists it under, if it is not the general one.
        let section: String?
        /// All values that it can have, if these are few.
        let values: [String]
        let defaultValue: String?
        let isOptional: Bool
        let isRepeating: Bool
        /// Whether it takes all words up to the next option.
        let takesSeveralWords: Bool
    }

    let name: String
    let summary: String
    /// The text below the summary: paragraphs with empty lines between them.
    let discussion: String
    let arguments: [Argument]
    let subcommands: [CommandDescription]

    var options: [Argument] { arguments.filter { $0.kind != .positional } }
    var positionals: [Argument] { arguments.filter { $0.kind == .positional } }

    /// A command from the parser's JSON.
    ///
    /// - Throws: `FileError` for text that is not such JSON.
    init(parsing json: String) throws {
        let root = try JSON(parsing: Array(json.utf8)).objectValue?["command"]?.objectValue
        self.init(root ?? [:])
    }

    private init(_ object: JSONObject) {
        name = object["commandName"]?.stringValue ?? ""
        summary = object["abstract"]?.stringValue ?? ""
        discussion = object["discussion"]?.stringValue ?? ""
        arguments = Self.shown(object["arguments"]).map(Argument.init)
        subcommands = Self.shown(object["subcommands"]).map(CommandDescription.init)
    }

    /// The items of a list that are not hidden.
    private static func shown(_ list: JSON?) -> [JSONObject] {
        (list?.arrayValue ?? []).compactMap(\.objectValue).filter { $0["shouldDisplay"]?.boolValue == true }
    }
}

extension CommandDescription.Argument {
    fileprivate init(_ object: JSONObject) {
        kind = object["kind"]?.stringValue.flatMap(Kind.init) ?? .flag
        names = (object["names"]?.arrayValue ?? []).compactMap { name in
            guard let name = name.objectValue, let text = name["name"]?.stringValue else { return nil }
            switch name["kind"]?.stringValue {
            case "long": return "--" + text
            case "short": return "-" + text
            default: return nil
            }
        }.sorted { $0.count < $1.count }
        placeholder = object["valueName"]?.stringValue ?? ""
        summary = object["abstract"]?.stringValue ?? ""
        section = object["sectionTitle"]?.stringValue
        let list = object["completionKind"]?.objectValue?["list"]?.objectValue?["values"]
        values = ((object["allValues"] ?? list)?.arrayValue ?? []).compactMap(\.stringValue)
        defaultValue = object["defaultValue"]?.stringValue
        isOptional = object["isOptional"]?.boolValue ?? false
        isRepeating = object["isRepeating"]?.boolValue ?? false
        takesSeveralWords = object["parsingStrategy"]?.stringValue == "upToNextOption"
    }
}

extension CommandDescription {
    /// A command with other subcommands.
    init(_ command: CommandDescription, subcommands: [CommandDescription]) {
        (name, summary, discussion) = (command.name, command.summary, command.discussion)
        (arguments, self.subcommands) = (command.arguments.filter { $0.kind != .positional }, subcommands)
    }
}
