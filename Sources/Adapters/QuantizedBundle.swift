import Tensors
package import VisionTransformers

/// Copies of bundles with what int8 wants to know of their activations (see `ActivationStatistics`).
package enum QuantizedBundle {
    /// Copies a bundle's files and adds the statistics of each group's backbone, before the folder is committed.
    ///
    /// - Parameters:
    ///   - bundle: what is copied, files of folders other than the groups' excepted.
    ///   - statistics: of the groups, in their order.
    ///   - folder: receives the copy.
    /// - Throws: `ModelError` or `TensorFileError` naming the file that cannot be read or written.
    package static func write(
        _ bundle: ModelBundle, _ statistics: [ActivationStatistics], to folder: AtomicFolder
    ) throws {
        for (index, own) in statistics.enumerated() {
            let group = ModelBundle.groupFolder(index)
            if let group { try folder.makeFolder(group) }
            let prefix = group.map { "\($0)/" } ?? ""
            let source = bundle.groups[index].backbone.folder
            for name in try SmallFiles.names(in: source).sorted() where name != ActivationStatistics.fileName {
                guard !SmallFiles.isFolder("\(source)/\(name)") else { continue }
                try folder.copy("\(source)/\(name)", as: prefix + name)
            }
            try own.write(folder: folder.path(group ?? "."))
        }
    }
}
