import Files
import Tensors
package import VisionTransformers

/// A base that is itself a merged model. Its weights hold the changes of its tasks' adapters, and its heads are not
/// part of what is merged over it.
package struct MergedBase: Sendable {
    /// The folder.
    package let folder: String
    /// The names of its tasks.
    package let tasks: [String]
    /// How many backbones it has.
    package let groups: Int
    private let recipe: JSONObject?

    /// Looks whether a folder is a bundle with tasks; nil when it is not.
    ///
    /// - Throws: `FileError` when its `bundle.json` cannot be read.
    package init?(folder: String) throws {
        guard ModelBundle.isBundle(folder) else { return nil }
        let manifest = try JSON(contentsOf: "\(folder)/\(ModelBundle.manifestName)").objectValue
        let tasks = manifest?["tasks"]?.arrayValue ?? []
        guard !tasks.isEmpty || manifest?["tasks"]?.arrayValue == nil else { return nil }
        self.folder = folder
        self.tasks = tasks.compactMap { $0.objectValue?["name"]?.stringValue }
        groups = manifest?["groups"]?.arrayValue?.count ?? 1
        recipe = manifest?["recipe"]?.objectValue
    }

    /// What it is, in words.
    package var description: String {
        "is a merged model with the task\(tasks.count == 1 ? "" : "s") \(tasks.joined(separator: ", "))"
    }

    /// The base that it was merged over by its recipe, or nil.
    package var origin: String? { recipe?["base"]?.objectValue?["path"]?.stringValue }

    /// The error of a merge over it: its tasks would be lost. Says how to add to it or merge all.
    package var refusal: ModelError {
        if StreamFile.exists(folder: folder) {
            return ModelError(
                folder, "\(description), which a merge over it would drop; add the new adapters to it",
                remedy: AdapterRemedy.addToBundle(folder))
        }
        let adapters = (recipe?["adapters"]?.arrayValue ?? []).compactMap { item -> AdapterRemedy.Source? in
            guard let name = item.objectValue?["name"]?.stringValue, let path = item.objectValue?["path"]?.stringValue
            else { return nil }
            return AdapterRemedy.Source(name: name, path: path)
        }
        return ModelError(
            folder,
            "\(description), which a merge over it would drop; merge the new adapters together with its own over the "
                + "base that it was made of",
            remedy: origin.map { AdapterRemedy.mergeOver(base: $0, adapters: adapters) })
    }

    /// Refuses a folder as the base of a merge if it is a merged model with tasks.
    ///
    /// - Throws: `ModelError` naming the tasks and what to do; `FileError`.
    package static func refuse(_ folder: String) throws {
        if let merged = try MergedBase(folder: folder) { throw merged.refusal }
    }
}
