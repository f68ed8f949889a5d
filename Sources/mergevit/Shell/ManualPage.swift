/// The manual pages `mergevit(1)` and `mergevit-COMMAND(1)`, in roff's man macros.
struct ManualPage {
    /// The argument that asks for a page: `---manual` for the list of pages, `---manual NAME` for one.
    static let request = "---manual"

    /// A version of the command, and the day of its release.
    typealias Version = (number: String, date: String)

    private var lines: [String] = []
    private let version: Version

    var text: String { lines.map { $0 + "\n" }.joined() }

    /// The answer to `---manual`: the names of all pages, or the page of a name; nil if there is none of that name.
    static func asked(_ arguments: [String], _ root: CommandDescription, version: Version) -> String? {
        let commands = root.subcommands.filter { $0.name != "help" }
        guard let name = arguments.first else {
            return ([root.name] + commands.map { "\(root.name)-\($0.name)" }).map { $0 + "\n" }.joined()
        }
        if name == root.name { return ManualPage(of: root, commands: commands, version: version).text }
        return commands.first { "\(root.name)-\($0.name)" == name }.map {
            ManualPage(of: $0, in: root, version: version).text
        }
    }

    /// The page of the whole.
    private init(of root: CommandDescription, commands: [CommandDescription], version: Version) {
        self.version = version
        begin(root.name, root)
        section("SYNOPSIS")
        text([bold(root.name), italic("command"), "[" + italic("options") + "]"].joined(separator: " "))
        section("DESCRIPTION")
        paragraphs(
            """
            One LoRA adapter and one head are trained per task over a single frozen Vision Transformer. The adapters \
            are \
            merged into one backbone, and every image is labelled for all tasks in one pass.

            Each command has a manual page of its own. Commands that take long show their progress on stderr, and can \
            be \
            stopped by SIGINT and SIGTERM.
            """.split(separator: "\n\n"))
        section("COMMANDS")
        for command in commands {
            tagged(bold("\(root.name)-\(command.name)") + "(1)", command.summary)
        }
        section("OPTIONS")
        for option in root.options { self.option(option) }
        section("EXIT STATUS")
        for (code, meaning) in [
            ("0", "Success."), ("1", "label, gather: more inputs failed than --max-failed allows; their rows say why."),
            ("2", "The command line is invalid."), ("3", "A model, an input or the output cannot be used."),
            ("4", "evaluate: a task is less accurate than --min-accuracy or --min-map asks for."),
            ("130, 143", "Stopped by SIGINT or SIGTERM."),
        ] { tagged(bold(code), meaning) }
        section("FILES")
        for (path, meaning) in [
            ("BUNDLE/bundle.json", "The tasks of a merged model with their class names, and the recipe of the merge."),
            ("BUNDLE/.packed/", "A cache of packed weights. It may be removed at any time."),
            (
                ".NAME.partial, .NAME.journal",
                "The rows of an interrupted run of label, which the same command resumes."
            ),
            (".NAME.training/", "The checkpoint of an interrupted training, which --resume resumes."),
        ] { tagged(italic(path), meaning) }
        section("EXAMPLES")
        example(
            "Merge two adapters, and label a folder of images for both tasks:",
            [
                "mergevit merge --base vit-base --adapter birds=lora/birds --adapter cars=lora/cars -o bundle",
                "mergevit label --bundle bundle photos -o labels.csv",
            ])
        section("SEE ALSO")
        text(commands.map { bold("\(root.name)-\($0.name)") + "(1)" }.joined(separator: ", "))
    }

    /// The page of a subcommand.
    private init(of command: CommandDescription, in root: CommandDescription, version: Version) {
        self.version = version
        begin("\(root.name)-\(command.name)", command)
        section("SYNOPSIS")
        synopsis(command, in: root)
        section("DESCRIPTION")
        // Examples and exit codes have sections of their own.
        var description: [Substring] = []
        var (examples, exitCodes): ([Substring], [Substring]) = ([], [])
        for paragraph in command.discussion.split(separator: "\n\n") {
            if paragraph.hasPrefix("Example:") || paragraph.hasPrefix("Examples:") {
                examples.append(paragraph.drop { $0 != "\n" })
            } else if paragraph.hasPrefix("Exit codes: ") {
                exitCodes.append(paragraph.dropFirst("Exit codes: ".count))
            } else {
                description.append(paragraph)
            }
        }
        paragraphs(description.isEmpty ? [command.summary[...]] : description)
        if !command.positionals.isEmpty {
            section("ARGUMENTS")
            for argument in command.positionals { tagged(italic(argument.placeholder), details(argument)) }
        }
        section("OPTIONS")
        var heading: String?
        let general = command.options.filter { $0.section == nil }
        for option in command.options.filter({ $0.section != nil }) + general {
            if option.section != heading { lines.append(".SS " + quoted(option.section ?? "Other options")) }
            heading = option.section
            self.option(option)
        }
        section("EXIT STATUS")
        paragraphs(exitCodes)
        if exitCodes.isEmpty { text("See " + bold(root.name) + "(1).") }
        if !examples.isEmpty {
            section("EXAMPLES")
            paragraphs(examples)
        }
        section("SEE ALSO")
        text(bold(root.name) + "(1)")
    }

    private mutating func begin(_ name: String, _ command: CommandDescription) {
        lines.append(#".\" Made from the command by `mergevit ---manual`."#)
        lines.append(".TH \(name.uppercased()) 1 \(version.date) \"mergevit \(version.number)\" \"User Commands\"")
        section("NAME")
        var summary = Substring(command.summary)
        if summary.hasSuffix(".") { summary.removeLast() }
        lines.append(escaped(name) + #" \- "# + escaped(String(summary)))
    }

    private mutating func section(_ title: String) { lines.append(".SH " + title) }

    private mutating func synopsis(_ command: CommandDescription, in root: CommandDescription) {
        var words = [bold("\(root.name) \(command.name)"), "[" + italic("options") + "]"]
        words += command.options.filter { !$0.isOptional }.map { bold($0.names[0]) + " " + italic($0.placeholder) }
        words += command.positionals.map { argument in
            let word = italic(argument.placeholder) + (argument.isRepeating ? " ..." : "")
            return argument.isOptional ? "[\(word)]" : word
        }
        text(words.joined(separator: " "))
    }

    /// Paragraphs with empty lines between them; indented lines are kept as they are.
    private mutating func paragraphs(_ paragraphs: some Sequence<Substring>) {
        for (index, paragraph) in paragraphs.enumerated() {
            if index > 0 { lines.append(".PP") }
            var isExample = false
            for (place, row) in paragraph.split(separator: "\n").enumerated() {
                if row.hasPrefix("  ") != isExample {
                    if place > 0, !isExample { lines.append(".PP") }
                    lines += isExample ? [".RE", ".fi"] : [".nf", ".RS"]
                    isExample.toggle()
                }
                lines.append(escaped(String(row.trimmingPrefix(while: \.isWhitespace))))
            }
            if isExample { lines += [".RE", ".fi"] }
        }
    }

    private mutating func example(_ title: String, _ commands: [String]) {
        text(escaped(title))
        lines += [".PP", ".nf", ".RS"] + commands.map(escaped) + [".RE", ".fi"]
    }

    private mutating func option(_ option: CommandDescription.Argument) {
        let names = option.names.map(bold).joined(separator: ", ")
        tagged(option.kind == .option ? names + " " + italic(option.placeholder) : names, details(option))
    }

    /// The summary, the values and the default.
    private func details(_ argument: CommandDescription.Argument) -> String {
        var text = argument.summary
        if !argument.values.isEmpty { text += " One of \(argument.values.joined(separator: ", "))." }
        if let value = argument.defaultValue, argument.kind == .option { text += " Default: \(value)." }
        return text
    }

    private mutating func tagged(_ tag: String, _ text: String) {
        lines += [".TP", tag]
        lines.append(text.isEmpty ? #"\&"# : escaped(text))
    }

    private mutating func text(_ text: String) { lines.append(text) }

    private func bold(_ text: String) -> String { #"\fB"# + escaped(text) + #"\fR"# }
    private func italic(_ text: String) -> String { #"\fI"# + escaped(text) + #"\fR"# }
    private func quoted(_ text: String) -> String { "\"" + escaped(text) + "\"" }

    /// Text in which nothing is a request or an escape, and dashes are ASCII.
    private func escaped(_ text: String) -> String {
        let text = text.replacing(#"\"#, with: #"\e"#).replacing("-", with: #"\-"#)
            .replacing("\n", with: " ")
        return text.hasPrefix(".") || text.hasPrefix("'") ? #"\&"# + text : text
    }
}
