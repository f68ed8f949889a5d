/// This project's names of parameters and modules, the same in all families. How a family's files call them is in
/// `ParameterNaming`.
package enum ParameterNames {
    /// The patch embedding's convolution.
    package static let patchProjection = "embeddings.patch_embeddings.projection"

    /// The layer normalization before the first block, where there is one.
    static let preNorm = "embeddings.norm"

    /// In a block, the bias of scores by the relative position of patches: a row for each offset and a column for each
    /// head; the last three rows are those from CLS to patches, from patches to CLS, and from CLS to itself.
    static let scoreBias = "attention.position_bias"

    /// What comes before the number of a block.
    static let blocks = "layers."

    /// Whether a parameter belongs to a classification head.
    package static func isHead(_ canonical: String) -> Bool { HeadNames.isPart(canonical) }
}

extension ParameterNames {
    /// The layer that a module or parameter belongs to, or nil.
    package static func layer(of canonical: String) -> Int? {
        let parts = canonical.split(separator: ".", maxSplits: 2)
        return parts.count == 3 && parts[0] == "layers" ? Int(parts[1]) : nil
    }
}

/// The names of a classification head's parameters in files.
///
/// transformers' heads are one linear layer, `classifier`, or DeiT's two. Some models have a `Sequential` instead: if
/// only one layer in it has parameters, those of a linear layer, as in `Sequential(Dropout, Linear)`, it is the head.
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
            guard isLinear else { throw ModelError(path, refusal(shapes, parameters), remedy: ModelRemedy.giveHead) }
            for parameter in parameters {
                names[parameter] = "\(root).\(parameter.split(separator: ".").last ?? "")"
            }
        }
        return names
    }

    /// Why a head that is not one linear layer is rejected.
    private static func refusal(_ shapes: [String: [Int]], _ parameters: [String]) -> String {
        let weights = parameters.filter { $0.hasSuffix(".weight") }.sorted()
        let examples = weights.prefix(4).map { "\($0) \(shapes[$0] ?? [])" }.joined(separator: ", ")
        return
            "the head is not a single linear layer: \(examples)\(weights.count > 4 ? ", ..." : ""); only linear heads "
            + "can be used. Train it again with one linear layer as the classifier"
    }

    /// The head that a module within a `Sequential` belongs to: `classifier` for `classifier.1`.
    package static func module(of canonical: String) -> String {
        let parts = canonical.split(separator: ".")
        guard parts.count > 1, roots.contains(where: { parts[0] == $0 }),
            parts.dropFirst().allSatisfy({ Int($0) != nil })
        else { return canonical }
        return String(parts[0])
    }
}

/// The names of tensors in files without the prefixes that training tools add to all of them: `module.` by
/// DistributedDataParallel, `_orig_mod.` by torch.compile, `model.` by classes that hold the model as a member.
package enum FileNames {
    /// The prefix that PEFT adds to all names.
    package static let adapterPrefix = "base_model.model."

    private static let wrappers = ["module.", "_orig_mod.", "model."]

    /// Checks that all names have the same prefix.
    ///
    /// - Throws: `ModelError` about `path` when they do not: then it is not clear which tensors belong together.
    package static func check(_ names: some Sequence<String>, path: String) throws {
        var first: (name: String, outer: String, inner: String)?
        for name in names {
            let (outer, inner, _) = split(name)
            guard let firstPrefix = first else {
                first = (name, outer, inner)
                continue
            }
            guard firstPrefix.outer + firstPrefix.inner == outer + inner else {
                throw ModelError(
                    path,
                    "tensors \"\(firstPrefix.name)\" and \"\(name)\" have different prefixes; a file has to hold "
                        + "one model, with the same prefix before every name")
            }
        }
    }

    /// A name without its prefix, and without PEFT's.
    package static func bare(_ name: String) -> String { split(name).rest }

    private static func split(_ name: String) -> (outer: String, inner: String, rest: String) {
        var rest = name[...]
        func strip() -> String {
            var taken = ""
            while let wrapper = wrappers.first(where: rest.hasPrefix) {
                taken += wrapper
                rest = rest.dropFirst(wrapper.count)
            }
            return taken
        }
        let outer = strip()
        guard rest.hasPrefix(adapterPrefix) else { return (outer, "", String(rest)) }
        rest = rest.dropFirst(adapterPrefix.count)
        let inner = strip()
        return (outer, inner, String(rest))
    }
}
