/// What can follow at the cursor of a command line that begins with `mergevit`.
struct Completion: Equatable {
    /// A word, and what a shell may show beside it.
    struct Candidate: Equatable {
        let word: String
        var summary = ""
    }

    /// The names of files that fit beside the candidates.
    enum Paths: String { case none, folders, files }

    /// The beginning of the word that candidates and paths go behind, such as `birds=`.
    var prefix = ""
    var candidates: [Candidate] = []
    var paths = Paths.none

    /// Lines for the shells' scripts: the paths, the prefix, then the candidates that begin as the word does, each with
    /// a tab before its summary.
    func text(for word: String) -> String {
        let beginning = word.dropFirst(prefix.count)
        let lines = candidates.filter { $0.word.hasPrefix(beginning) }.map { $0.word + "\t" + $0.summary }
        return ([paths.rawValue, prefix] + lines).map { $0 + "\n" }.joined()
    }
}

/// What only other modules know of the words of a command line.
struct CompletionSources {
    /// The candidates for some placeholders, such as METHOD, or behind some options, such as `--method`.
    var values: [String: [Completion.Candidate]] = [:]
    /// The parameters that `--set` takes with values of `--method` and `--from`, and the values of those that have few.
    var parameters: (_ method: String?, _ start: String?) -> [(name: Completion.Candidate, values: [String])] = {
        _, _ in []
    }
    /// The tasks of a bundle.
    var tasks: (_ bundle: String) -> [String] = { _ in [] }
}

/// A command line that is being written, up to the cursor.
struct CommandLineCompleter {
    private let sources: CompletionSources
    private var command: CommandDescription
    /// The option whose value comes next.
    private var awaited: CommandDescription.Argument?
    /// Every option that is there, with its value if it has one.
    private var given: [(option: CommandDescription.Argument, value: String)] = []
    private var positionalCount = 0
    private var isBehindDashes = false

    /// What can replace the last word.
    ///
    /// - Parameter words: the words after the command's name; the last is the one at the cursor, up to it.
    static func completion(
        of words: [String], _ command: CommandDescription, _ sources: CompletionSources
    ) -> Completion {
        var completer = CommandLineCompleter(command, sources)
        for word in words.dropLast() { completer.read(word) }
        return completer.completion(of: words.last ?? "")
    }

    private init(_ command: CommandDescription, _ sources: CompletionSources) {
        (self.command, self.sources) = (command, sources)
    }

    private mutating func read(_ word: String) {
        if word.hasPrefix("-"), word != "-", !isBehindDashes, awaited == nil || awaited?.takesSeveralWords == true {
            awaited = nil
            if word == "--" {
                isBehindDashes = true
            } else if let (option, value) = option(word) {
                given.append((option, value ?? ""))
                if option.kind == .option, value == nil { awaited = option }
            }
        } else if let option = awaited {
            if let last = given.indices.last { given[last].value = word }
            if !option.takesSeveralWords { awaited = nil }
        } else if let subcommand = command.subcommands.first(where: { $0.name == word }) {
            // `help` takes the names of the others.
            if word == "help" {
                command = CommandDescription(subcommand, subcommands: command.subcommands.filter { $0.name != "help" })
            } else {
                command = subcommand
            }
        } else {
            positionalCount += 1
        }
    }

    /// The option that a word names, and the value behind its equals sign.
    private func option(_ word: String) -> (CommandDescription.Argument, value: String?)? {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return command.options.first { $0.names.contains(parts[0]) }
            .map { ($0, word.hasPrefix("--") && parts.count > 1 ? parts[1] : nil) }
    }

    private func completion(of word: String) -> Completion {
        if !isBehindDashes, awaited == nil || awaited?.takesSeveralWords == true {
            if word.hasPrefix("--"), let (option, value) = option(word), let value {
                var completion = self.completion(of: value, for: option)
                completion.prefix = word.dropLast(value.count) + completion.prefix
                return completion
            }
            if word.hasPrefix("-") { return Completion(candidates: options(allNames: !word.hasPrefix("--"))) }
        }
        if let awaited { return completion(of: word, for: awaited) }
        if !command.subcommands.isEmpty {
            return Completion(candidates: command.subcommands.map { .init(word: $0.name, summary: $0.summary) })
        }
        let positionals = command.positionals
        guard let argument = positionals.dropFirst(positionalCount).first ?? positionals.last(where: \.isRepeating)
        else {
            return Completion()
        }
        return completion(of: word, for: argument)
    }

    /// The options that can be given yet: by their long names, or by all.
    private func options(allNames: Bool) -> [Completion.Candidate] {
        command.options.filter { option in
            option.isRepeating || !given.contains { $0.option.names == option.names }
        }.flatMap { option in
            option.names.filter { allNames || $0.hasPrefix("--") }.map { .init(word: $0, summary: option.summary) }
        }
    }

    /// What a value can be goes by its placeholder: `DIR`, `METHOD`, `[TASK=]DIR`.
    private func completion(of value: String, for argument: CommandDescription.Argument) -> Completion {
        let (placeholder, sign) = (argument.placeholder, argument.placeholder.firstIndex(of: "="))
        guard let sign else {
            var completion = self.completion(of: placeholder, in: argument)
            // Lists are written one element after the other, each once.
            if let separator = value.lastIndex(where: { $0 == "," || $0 == "+" }), !completion.candidates.isEmpty {
                completion.prefix = String(value[...separator])
                let others = Set(value[..<separator].split { $0 == "," || $0 == "+" }.map(String.init))
                completion.candidates.removeAll { others.contains($0.word) }
            }
            return completion
        }
        let shape = String(placeholder[placeholder.index(after: sign)...].drop { $0 == "]" })
        guard let given = value.firstIndex(of: "=") else {
            // The name may be left out where brackets say so.
            var completion = placeholder.hasPrefix("[") ? self.completion(of: shape, in: argument) : Completion()
            completion.candidates += names(for: argument).map { .init(word: $0.word + "=", summary: $0.summary) }
            return completion
        }
        var completion = self.completion(of: shape, in: argument)
        if argument.names.contains("--set") {
            let values = parameters.first { $0.name.word == value[..<given] }?.values ?? []
            completion.candidates = values.map { .init(word: $0) }
        }
        // Behind a name, a table or a file of weights is possible as well as a folder.
        if completion.paths == .folders { completion.paths = .files }
        completion.prefix = String(value[...given])
        return completion
    }

    /// The candidates for a placeholder.
    private func completion(of shape: String, in argument: CommandDescription.Argument) -> Completion {
        if !argument.values.isEmpty { return Completion(candidates: argument.values.map { .init(word: $0) }) }
        let name = argument.names.last ?? ""
        switch shape.prefix(while: { $0.isLetter }) {
        case "DIR": return Completion(paths: .folders)
        case "FILE", "PATH", "SHARD", "DATA": return Completion(paths: .files)
        case "LIST" where name == "--methods": return Completion(candidates: sources.values["METHOD"] ?? [])
        case _ where ["--tasks", "--groups", "--task"].contains(name):
            return Completion(candidates: tasks.map { .init(word: $0) })
        case let word: return Completion(candidates: sources.values[name] ?? sources.values[String(word)] ?? [])
        }
    }

    /// The names that can precede the equals sign of a value.
    private func names(for argument: CommandDescription.Argument) -> [Completion.Candidate] {
        switch argument.names.last {
        case "--adapter": []
        case "--set": parameters.map(\.name)
        default: tasks.map { .init(word: $0) }
        }
    }

    /// The tasks of the command line: those of its bundle, and those that its adapters and data are named after.
    private var tasks: [String] {
        var tasks = value(of: "--bundle").map(sources.tasks) ?? []
        for (option, value) in given where ["--adapter", "--data"].contains(where: option.names.contains) {
            guard let sign = value.firstIndex(of: "="), !tasks.contains(String(value[..<sign])) else { continue }
            tasks.append(String(value[..<sign]))
        }
        return tasks
    }

    private var parameters: [(name: Completion.Candidate, values: [String])] {
        sources.parameters(value(of: "--method"), value(of: "--from"))
    }

    private func value(of name: String) -> String? { given.last { $0.option.names.contains(name) }?.value }
}
