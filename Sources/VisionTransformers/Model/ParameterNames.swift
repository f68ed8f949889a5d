/// The names of parameters and modules, brought from every scheme in use to one.
///
/// transformers 5 renamed the modules of ViT, DeiT and DINOv2 in memory, while checkpoints on disk keep the names of
/// transformers 4; adapters carry the names of the version that saved them. This project uses the new names without the
/// model's prefix, and `norm1`, `norm2` for the two layer normalizations of a block in every family.
package enum ParameterNames {
    /// The patch embedding's convolution.
    package static let patchProjection = "embeddings.patch_embeddings.projection"

    /// The gated MLP's two input branches as one matrix, gate above up: how DINOv2 stores them.
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

    /// The name under this project's scheme of a parameter or module named by any scheme.
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

    /// Whether a parameter is part of some checkpoints but of no answer: it is kept, and not computed with.
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

    /// The paths that a module has in a family's models: under transformers 5, under 4, and its name here.
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
