import Tensors
package import VisionTransformers

/// Copies of bundles with their backbones rounded to eight bits (see `RoundedWeights`).
package enum QuantizedBundle {
    /// Copies a bundle's files and adds each group's rounded backbone, before the folder is committed.
    ///
    /// - Parameters:
    ///   - bundle: what is copied, files of folders other than the groups' excepted.
    ///   - roundings: of the groups' backbones, in their order.
    ///   - folder: receives the copy.
    /// - Throws: `ModelError` or `TensorFileError` naming the file that cannot be read or written.
    package static func write(
        _ bundle: ModelBundle, _ roundings: [BackboneRounding], to folder: AtomicFolder
    ) throws {
        for (index, own) in roundings.enumerated() {
            let group = ModelBundle.groupFolder(index)
            if let group { try folder.makeFolder(group) }
            let prefix = group.map { "\($0)/" } ?? ""
            let source = bundle.groups[index].backbone.folder
            for name in try SmallFiles.names(in: source).sorted() where name != RoundedWeights.fileName {
                guard !SmallFiles.isFolder("\(source)/\(name)") else { continue }
                try folder.copy("\(source)/\(name)", as: prefix + name)
            }
            try own.write(folder: folder.path(group ?? "."))
        }
    }
}
