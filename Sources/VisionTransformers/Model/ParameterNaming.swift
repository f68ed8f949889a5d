/// The names of a family's parameters and modules in files.
///
/// transformers 5 renamed the modules of its older families in memory, while checkpoints on disk keep the names of
/// transformers 4; adapters carry the names of the version that saved them. This project has one scheme for all
/// families: the names of ViT in transformers 5 without the model's prefix, and `norm1`, `norm2` for the two layer
/// normalizations of a block.
package struct ParameterNaming: Sendable {
    /// A name in files, and this project's.
    typealias Name = (old: String, new: String)

    /// The prefix of a model with a head, with its dot.
    package var prefix: String
    /// The prefixes that are read: checkpoints of one family are sometimes saved by the classes of another.
    var readPrefixes: [String]
    /// What comes before the number of a block in checkpoints and in transformers 4, and in transformers 5.
    var blocks: Name
    /// Names within a block that are not this project's.
    var inBlock: [Name]
    /// Whether transformers 5 has them, too.
    var keepsNames = false
    /// Names outside blocks that are not this project's.
    var outside: [Name] = []
    /// Matrices of several modules in one: its name in a block, and the modules in the order of their rows.
    var fused: [(name: String, branches: [String])] = []
    /// The beginnings of names of parameters that no prediction depends on; they are copied.
    var unused: [String] = []
    /// Those of them that the class with a head has.
    var unusedBesideHead: [String] = []
    /// The beginnings of names of parameters of other models in the same file; they are left out.
    var ignored: [String] = []
    /// The endings of further such names.
    var ignoredEndings = ["relative_position_index", "position_ids"]
    /// What a classifier is called in files.
    package var head = "classifier"
    /// The prefix of names in adapters, where it is not that of checkpoints.
    var adapterPrefix: String?
    /// Whether the embeddings of CLS and of positions have one dimension less than in ViT.
    var hasFlatEmbeddings = false

    /// A name without the prefix of a model with a head.
    package func withoutPrefix(_ name: String) -> String {
        readPrefixes.first { name.hasPrefix($0) }.map { String(name.dropFirst($0.count)) } ?? name
    }

    /// The name of a parameter or module in this project's scheme, from its name in any other.
    package func canonical(_ name: String) -> String {
        let rest = withoutPrefix(name)
        for start in [blocks.old, blocks.new, ParameterNames.blocks] where rest.hasPrefix(start) {
            let path = rest.dropFirst(start.count)
            guard let dot = path.firstIndex(of: "."), Int(path[..<dot]) != nil else { return rest }
            let inner = Self.replaced(String(path[path.index(after: dot)...]), by: inBlock)
            return "\(ParameterNames.blocks)\(path[..<dot]).\(inner)"
        }
        return Self.replaced(rest, by: outside)
    }

    /// A name whose beginning, up to its end or a dot, is in a list; this project's stay as they are.
    private static func replaced(_ name: String, by names: [Name]) -> String {
        func rest(after beginning: String) -> Substring? {
            guard name.hasPrefix(beginning) else { return nil }
            let rest = name.dropFirst(beginning.count)
            return rest.isEmpty || rest.hasPrefix(".") ? rest : nil
        }
        guard !names.contains(where: { rest(after: $0.new) != nil }) else { return name }
        for (old, new) in names {
            if let rest = rest(after: old) { return new + rest }
        }
        return name
    }

    /// The branches of a fused parameter in the order of their rows, or nil if the parameter is not fused.
    package func branches(of canonical: String) -> [String]? {
        guard let (name, branches) = fused.first(where: { canonical.contains(".\($0.name)") }) else { return nil }
        return branches.map { canonical.replacing(name, with: $0) }
    }

    /// Whether a parameter is in some checkpoints, but no prediction depends on it: it is copied, and not computed
    /// with.
    ///
    /// - Parameter besideHead: whether the class with a head has it, too.
    package func isUnused(_ canonical: String, besideHead: Bool = false) -> Bool {
        (besideHead ? unusedBesideHead : unused).contains { canonical.hasPrefix($0) }
    }

    /// Whether a parameter or module belongs to another model, or to a part that classifiers do not use.
    package func isIgnored(_ name: String) -> Bool {
        ignored.contains { name.hasPrefix($0) } || ignoredEndings.contains { name.hasSuffix($0) }
    }

    /// The path of a part of a head, such as `classifier.weight`, in adapters; the model's own wrapper, if it has one
    /// in that version, is before it as before all names.
    package func headPath(_ name: String, isOld: Bool) -> String {
        (adapterPrefix ?? (!isOld && blocks.new.hasPrefix("model.") ? "model." : "")) + name
    }

    /// The path of a module in the class with a head.
    ///
    /// - Parameter isOld: whether the names are those of transformers 4; there modules of a fused one have its path.
    package func path(of canonical: String, isOld: Bool) -> String {
        guard let layer = ParameterNames.layer(of: canonical) else {
            return (adapterPrefix ?? prefix) + (outside.first { $0.new == canonical }?.old ?? canonical)
        }
        let inner = String(canonical.dropFirst("\(ParameterNames.blocks)\(layer).".count))
        let path = "\(adapterPrefix ?? prefix)\(isOld ? blocks.old : blocks.new)\(layer)."
        guard isOld || keepsNames else { return path + inner }
        if let whole = fused.first(where: { $0.branches.contains(inner) }) { return path + whole.name }
        return path + (inBlock.last { $0.new == inner }?.old ?? inner)
    }

    /// The modules that a module is one with in the class with a head, in the order of their rows; nil if it is one by
    /// itself.
    package func joined(_ canonical: String, isOld: Bool) -> [String]? {
        guard isOld || keepsNames, let layer = ParameterNames.layer(of: canonical) else { return nil }
        let start = "\(ParameterNames.blocks)\(layer)."
        let inner = String(canonical.dropFirst(start.count))
        return fused.first { $0.branches.contains(inner) }?.branches.map { start + $0 }
    }

    /// The paths of a module in the family's models: in transformers 5, in transformers 4, and here.
    package func spellings(of canonical: String) -> [String] {
        guard let layer = ParameterNames.layer(of: canonical) else {
            let prefix = adapterPrefix ?? prefix
            return [prefix + canonical, canonical] + outside.filter { $0.new == canonical }.map { prefix + $0.old }
        }
        let inner = String(canonical.dropFirst("\(ParameterNames.blocks)\(layer).".count))
        let prefix = adapterPrefix ?? prefix
        let (new, old) = ("\(prefix)\(ParameterNames.blocks)\(layer).", "\(prefix)\(blocks.old)\(layer).")
        var spellings = [canonical, new + inner, old + inner]
        for (name, ours) in inBlock where ours == inner { spellings.append(old + name) }
        for whole in fused where whole.branches.contains(inner) { spellings.append(old + whole.name) }
        return spellings
    }
}

extension ParameterNaming: Equatable {
    package static func == (one: ParameterNaming, other: ParameterNaming) -> Bool {
        one.prefix == other.prefix && one.blocks == other.blocks
            && one.inBlock.elementsEqual(other.inBlock, by: ==) && one.outside.elementsEqual(other.outside, by: ==)
    }
}
