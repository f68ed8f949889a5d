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
        let methods = MergeMethod.all.map { Completion.Candidate(word: $0.name, summary: $0.formula) }
        let distillation = Completion.Candidate(
            word: DistillationSettings.name, summary: DistillationSettings.formula)
        return CompletionSources(
            values: [
                "METHOD": methods, "--method": methods + [distillation],
                "ACTIVATION": HeadActivation.allCases.map { .init(word: $0.rawValue) },
            ],
            parameters: { method, start in
                // Distillation has parameters of its own beside those of the merge that it starts from.
                let isDistilled = method == DistillationSettings.name
                let name = isDistilled ? start : method
                let merge = MergeMethod.all.first { name == nil || $0.name == name }
                return ((isDistilled ? DistillationSettings.parameters : []) + (merge?.parameters ?? [])).map {
                    (.init(word: $0.name, summary: $0.summary), values(of: $0))
                }
            },
            tasks: { bundle in
                let tasks = try? JSON(contentsOf: bundle + "/bundle.json").objectValue?["tasks"]?.arrayValue
                return (tasks ?? []).compactMap { $0.objectValue?["name"]?.stringValue }
            })
    }

    /// All values of a parameter, if these are few.
    private static func values(of parameter: MergeParameter) -> [String] {
        switch parameter.kind {
        case .choice(let names): names
        case .flag: ["yes", "no"]
        case .number, .count: []
        }
    }
}
