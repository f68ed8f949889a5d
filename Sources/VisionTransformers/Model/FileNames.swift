/// The names of the tensors in a file, without what training tools put before every one of them: `module.` by
/// DistributedDataParallel, `_orig_mod.` by torch.compile, `model.` by whatever holds the model as its member.
package enum FileNames {
    /// What PEFT puts before every name of a model.
    package static let adapterPrefix = "base_model.model."

    private static let wrappers = ["module.", "_orig_mod.", "model."]

    /// Checks that all names have the same before them.
    ///
    /// - Throws: `ModelError` about `path` when only some names have it: then it is not clear what belongs together.
    package static func check(_ names: some Sequence<String>, path: String) throws {
        var first: (name: String, outer: String, inner: String)?
        for name in names {
            let (outer, inner, _) = split(name)
            guard let known = first else {
                first = (name, outer, inner)
                continue
            }
            guard known.outer + known.inner == outer + inner else {
                throw ModelError(
                    path,
                    "tensors \"\(known.name)\" and \"\(name)\" have different prefixes; a file has to hold one model, with the "
                        + "same prefix before every name")
            }
        }
    }

    /// A name without what stands before all, and without PEFT's prefix.
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
