/// One scheme of names for parameters and modules, and the schemes that are in use.
///
/// transformers 5 renamed the modules of ViT, DeiT and DINOv2 in memory, while checkpoints on disk keep the names of
/// transformers 4; adapters carry the names of the version that saved them. This project uses the new names without the
/// model's prefix, and `norm1`, `norm2` for the two layer normalizations of a block in every family.
package enum ParameterNames {
    /// The patch embedding's convolution.
    package static let patchProjection = "embeddings.patch_embeddings.projection"

    /// The gated MLP's two input branches as one matrix, gate above up, as DINOv2 stores them.
    package static let fusedGate = "mlp.weights_in"

    private static let prefixes = ["vit.", "deit.", "dinov2."]

    static let renamed: [(old: String, new: String)] = [
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("mlp.weights_out", "mlp.down_proj"),
    ]

    /// A name without the prefix of a model with a head.
    package static func withoutPrefix(_ name: String) -> String {
        prefixes.first { name.hasPrefix($0) }.map { String(name.dropFirst($0.count)) } ?? name
    }

    /// The name of a parameter or module in this project's scheme, from its name in any other.
    package static func canonical(_ name: String) -> String {
        let rest = withoutPrefix(name)
        for start in ["encoder.layer.", "layers."] where rest.hasPrefix(start) {
            let path = rest.dropFirst(start.count)
            guard let dot = path.firstIndex(of: "."), Int(path[..<dot]) != nil else { return rest }
            let number = path[..<dot]
            var inner = path[path.index(after: dot)...]
            for (old, new) in renamed where inner.hasPrefix(old) {
                inner = new + inner.dropFirst(old.count)
                break
            }
            return "layers.\(number).\(inner)"
        }
        return rest
    }

    /// The branches of a fused parameter in the order of their rows, or nil if the parameter is not fused.
    package static func branches(of canonical: String) -> [String]? {
        guard canonical.contains(fusedGate) else { return nil }
        return ["mlp.gate_proj", "mlp.up_proj"].map { canonical.replacing(fusedGate, with: $0) }
    }

    /// Whether a parameter belongs to a classification head.
    package static func isHead(_ canonical: String) -> Bool { HeadNames.isPart(canonical) }

    /// Whether a parameter is in some checkpoints, but no prediction depends on it: it is copied, and not computed
    /// with.
    package static func isUnused(_ canonical: String) -> Bool {
        canonical == "embeddings.mask_token" || canonical.hasPrefix("pooler.dense.")
    }
}

extension ParameterNames {
    /// The layer that a module or parameter belongs to, or nil.
    package static func layer(of canonical: String) -> Int? {
        let parts = canonical.split(separator: ".", maxSplits: 2)
        return parts.count == 3 && parts[0] == "layers" ? Int(parts[1]) : nil
    }

    /// The paths of a module in a family's models: in transformers 5, in transformers 4, and here.
    package static func spellings(of canonical: String, family: BackboneFamily) -> [String] {
        let prefix = family.rawValue + "."
        guard let layer = layer(of: canonical) else { return [prefix + canonical, canonical] }
        let inner = canonical.split(separator: ".", maxSplits: 2).last.map(String.init) ?? canonical
        var spellings = [canonical, "\(prefix)layers.\(layer).\(inner)", "\(prefix)encoder.layer.\(layer).\(inner)"]
        for (old, new) in renamed where new == inner {
            spellings.append("\(prefix)encoder.layer.\(layer).\(old)")
        }
        if inner == "mlp.gate_proj" || inner == "mlp.up_proj" {
            spellings.append("\(prefix)encoder.layer.\(layer).\(fusedGate)")
        }
        return spellings
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
