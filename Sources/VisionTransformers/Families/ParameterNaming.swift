/// The names of a family's parameters and modules in files.
///
/// transformers 5 renamed the modules of its older families in memory, while checkpoints on disk keep the names of
/// transformers 4; adapters carry the names of the version that saved them. This project has one scheme for all
/// families: the new names without the model's prefix, and `norm1`, `norm2` for the two layer normalizations of a block.
package struct ParameterNaming: Sendable {
    /// The prefix of a model with a head, with its dot.
    package let prefix: String
    /// The prefixes that are read: checkpoints of one family are sometimes saved by the classes of another.
    let readPrefixes: [String]
    /// What comes before the number of a block in checkpoints and in transformers 4, and in transformers 5.
    let blocks: (old: String, new: String)
    /// Names within a block that are not this project's.
    let inBlock: [(old: String, new: String)]
    /// Matrices of several modules in one: its name in a block, and the modules in the order of their rows.
    let fused: [(name: String, branches: [String])]
    /// The beginnings of names of parameters that no prediction depends on.
    let unused: [String]
    /// Those of them that the class with a head has.
    let unusedBesideHead: [String]

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
            let number = path[..<dot]
            var inner = path[path.index(after: dot)...]
            for (old, new) in inBlock where inner.hasPrefix(old) {
                inner = new + inner.dropFirst(old.count)
                break
            }
            return "\(ParameterNames.blocks)\(number).\(inner)"
        }
        return rest
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

    /// The path of a module in the class with a head.
    ///
    /// - Parameter isOld: whether the names are those of transformers 4; there modules of a fused one have its path.
    package func path(of canonical: String, isOld: Bool) -> String {
        guard let layer = ParameterNames.layer(of: canonical) else { return prefix + canonical }
        let inner = String(canonical.dropFirst("\(ParameterNames.blocks)\(layer).".count))
        let path = "\(prefix)\(isOld ? blocks.old : blocks.new)\(layer)."
        guard isOld else { return path + inner }
        if let whole = fused.first(where: { $0.branches.contains(inner) }) { return path + whole.name }
        return path + (inBlock.last { $0.new == inner }?.old ?? inner)
    }

    /// The paths of a module in the family's models: in transformers 5, in transformers 4, and here.
    package func spellings(of canonical: String) -> [String] {
        guard let layer = ParameterNames.layer(of: canonical) else { return [prefix + canonical, canonical] }
        let inner = String(canonical.dropFirst("\(ParameterNames.blocks)\(layer).".count))
        let (new, old) = ("\(prefix)\(ParameterNames.blocks)\(layer).", "\(prefix)\(blocks.old)\(layer).")
        var spellings = [canonical, new + inner, old + inner]
        for (name, ours) in inBlock where ours == inner { spellings.append(old + name) }
        for whole in fused where whole.branches.contains(inner) { spellings.append(old + whole.name) }
        return spellings
    }
}
