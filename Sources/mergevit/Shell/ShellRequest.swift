import Adapters
import Files
import VisionTransformers

/// What scripts ask of the command instead of people: completions, completion scripts, manual pages.
enum ShellRequest {
    /// The answer to such a request; nil if the arguments are an ordinary command line.
    ///
    /// - Parameter description: the command as the argument parser describes it.
    static func answer(_ arguments: [String], version: ManualPage.Version, description: () -> String) -> String? {
        if let script = CompletionScript.asked(arguments) { return script + "\n" }
        switch arguments.first {
        case CompletionScript.request:
            guard let command = try? CommandDescription(parsing: description()) else { return "" }
            let words = Array(arguments.dropFirst())
            return CommandLineCompleter.completion(of: words, command, sources).text(for: words.last ?? "")
        case ManualPage.request:
            guard let command = try? CommandDescription(parsing: description()) else { return nil }
            return ManualPage.asked(Array(arguments.dropFirst()), command, version: version)
        default: return nil
        }
    }

    private static var sources: CompletionSources {
        CompletionSources(
            values: [
                "METHOD": MergeMethod.all.map { .init(word: $0.name, summary: $0.formula) },
                "ACTIVATION": HeadActivation.allCases.map { .init(word: $0.rawValue) },
            ],
            parameters: { name in
                let method = MergeMethod.all.first { name == nil || $0.name == name }
                return (method?.parameters ?? []).map { .init(word: $0.name, summary: $0.summary) }
            },
            tasks: { bundle in
                let tasks = try? JSON(contentsOf: bundle + "/bundle.json").objectValue?["tasks"]?.arrayValue
                return (tasks ?? []).compactMap { $0.objectValue?["name"]?.stringValue }
            })
    }
}
