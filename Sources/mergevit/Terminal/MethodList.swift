import Adapters

/// `mergevit merge --list-methods`: what methods there are, for people.
enum MethodList {
    /// Whether the arguments ask for the list. It needs no base and no output, which the command else does.
    static func isAsked(_ arguments: [String]) -> Bool {
        arguments.first == "merge" && arguments.prefix { $0 != "--" }.contains("--list-methods")
    }

    /// Each method's name, formula, source, the data it needs, and its parameters.
    static var text: String {
        MergeMethod.all.enumerated().map { place, method in
            var lines = [method.name + (place == 0 ? " (default)" : "")]
            lines.append("    \(method.formula)")
            lines.append("    source: \(method.source)")
            lines.append("    data: \(method.usesImages ? "unlabelled images (--calibration)" : "none")")
            for parameter in method.parameters {
                lines.append(
                    "    \(parameter.name) = \(parameter.defaultDescription): \(parameter.summary); "
                        + parameter.rangeDescription)
            }
            return lines.joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }
}
