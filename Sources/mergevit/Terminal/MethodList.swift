import Adapters

/// `mergevit merge --list-methods`: the merge methods and their parameters, for people.
enum MethodList {
    /// Whether the arguments ask for the list. It needs no base and no output, which the command requires otherwise.
    static func isAsked(_ arguments: [String]) -> Bool {
        arguments.first == "merge" && arguments.prefix { $0 != "--" }.contains("--list-methods")
    }

    /// Each method's name, formula, source, the data it needs, and its parameters; distillation last.
    static var text: String {
        let methods = MergeMethod.all.enumerated().map { index, method in
            text(
                method.name + (index == 0 ? " (default)" : ""), method.formula, method.source,
                usesImages: method.usesImages, method.parameters)
        }
        let distillation = text(
            "\(DistillationSettings.name) (after another method, --from)", DistillationSettings.formula,
            DistillationSettings.source, usesImages: true, DistillationSettings.parameters)
        return (methods + [distillation]).joined(separator: "\n")
    }

    private static func text(
        _ name: String, _ formula: String, _ source: String, usesImages: Bool, _ parameters: [MergeParameter]
    ) -> String {
        let lines =
            [
                name, "    \(formula)", "    source: \(source)",
                "    data: \(usesImages ? "unlabelled images (--calibration)" : "none")",
            ]
            + parameters.map {
                "    \($0.name): \($0.summary); \($0.kindDescription) (default: \($0.defaultDescription))"
            }
        return lines.joined(separator: "\n") + "\n"
    }
}
