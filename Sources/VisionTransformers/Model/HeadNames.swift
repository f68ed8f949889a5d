/// A classification head's parameters under the names that files give them.
///
/// transformers' heads are one linear layer, `classifier`, or DeiT's two. People also put a `Sequential` in its place:
/// if one layer in it has parameters and they are those of a linear layer, as in `Sequential(Dropout, Linear)`, it is
/// the head.
package enum HeadNames {
    /// The modules of heads in transformers' models.
    static let roots = ["classifier", "cls_classifier", "distillation_classifier"]

    /// Whether a parameter or module belongs to a head, by its canonical name.
    static func isPart(_ canonical: String) -> Bool {
        let parts = canonical.split(separator: ".")
        return parts.count > 1 && roots.contains { parts[0] == $0 } && !parts.contains { $0.hasPrefix("lora_") }
    }

    /// The names that a head's parameters have in a model whose head is a linear layer, by their canonical names here.
    ///
    /// - Parameters:
    ///   - shapes: the parameters of the head by canonical name.
    ///   - path: the file, for errors.
    /// - Throws: `ModelError` when a head is more than one linear layer.
    package static func linear(_ shapes: [String: [Int]], path: String) throws -> [String: String] {
        var names: [String: String] = [:]
        for (root, parameters) in Dictionary(grouping: shapes.keys, by: { String($0.prefix { $0 != "." }) }) {
            let layers = Set(parameters.map { $0.split(separator: ".").dropLast().joined(separator: ".") })
            let kinds = Set(parameters.map { String($0.split(separator: ".").last ?? "") })
            let isLinear =
                layers == [root]
                || layers.count == 1 && kinds.isSubset(of: ["weight", "bias"])
                    && parameters.contains { $0.hasSuffix(".weight") && shapes[$0]?.count == 2 }
            guard isLinear else { throw ModelError(path, refusal(shapes, parameters)) }
            for parameter in parameters {
                names[parameter] = "\(root).\(parameter.split(separator: ".").last ?? "")"
            }
        }
        return names
    }

    /// Why a head is refused that is not one linear layer, and what can be done.
    private static func refusal(_ shapes: [String: [Int]], _ parameters: [String]) -> String {
        let weights = parameters.filter { $0.hasSuffix(".weight") }.sorted()
        let shown = weights.prefix(4).map { "\($0) \(shapes[$0] ?? [])" }.joined(separator: ", ")
        return
            "the head is not a single linear layer: \(shown)\(weights.count > 4 ? ", ..." : ""); only linear heads can be "
            + "used. Train it again with one linear layer as the classifier, or give a linear head that was trained over the "
            + "same features: --head NAME=FILE"
    }

    /// The module of the whole head that a module within a `Sequential` stands for: `classifier` of `classifier.1`.
    package static func module(of canonical: String) -> String {
        let parts = canonical.split(separator: ".")
        guard parts.count > 1, roots.contains(where: { parts[0] == $0 }),
            parts.dropFirst().allSatisfy({ Int($0) != nil })
        else { return canonical }
        return String(parts[0])
    }
}
