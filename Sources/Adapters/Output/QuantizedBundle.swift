package import Files
import Tensors
package import VisionTransformers

/// Copies of bundles with their backbones rounded to eight bits (see `QuantizedWeights`).
package enum QuantizedBundle {
    /// Copies a bundle's files, those of folders other than the groups' excepted, before the folder is committed.
    ///
    /// - Throws: `ModelError` or `FileError` naming the file that cannot be read or written.
    package static func copy(_ bundle: ModelBundle, to folder: AtomicFolder) throws {
        for (index, group) in bundle.groups.enumerated() {
            let subfolder = ModelBundle.groupFolder(index)
            if let subfolder { try folder.makeFolder(subfolder) }
            let prefix = subfolder.map { "\($0)/" } ?? ""
            let source = group.backbone.folder
            for name in try SmallFiles.names(in: source).sorted() where name != QuantizedWeights.fileName {
                guard !SmallFiles.isFolder("\(source)/\(name)") else { continue }
                try folder.copy("\(source)/\(name)", as: prefix + name)
            }
        }
    }

    /// Writes the groups' rounded backbones.
    ///
    /// - Parameters:
    ///   - roundings: in the order of the groups.
    ///   - floats: what is left in floats; nil for what is without measuring.
    ///   - agreement: how many labels they keep, if it is known.
    ///   - tokenMerging: what was found of token merging, if it was looked for.
    ///   - heads: those that were aligned with it.
    /// - Throws: `FileError` naming the file that cannot be written.
    package static func write(
        _ roundings: [QuantizedBackbone], of bundle: ModelBundle, floats: Set<BlockSublayer>?,
        _ agreement: LabelAgreement? = nil, tokenMerging: KeptTokenMerging? = nil, heads: [Head] = [],
        to folder: AtomicFolder
    ) throws {
        for (index, quantized) in roundings.enumerated() {
            let tasks = bundle.groups[index].tasks.map { bundle.heads[$0].task }
            try quantized.write(
                folder: folder.path(ModelBundle.groupFolder(index) ?? "."), floats: floats, agreement?.of(tasks),
                tokenMerging: tokenMerging?.of(tasks), heads: heads.filter { tasks.contains($0.task) })
        }
    }
}
