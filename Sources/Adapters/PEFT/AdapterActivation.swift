import Files
import Glibc
import Tensors
import VisionTransformers

/// Finds the activation of an adapter's head. PEFT keeps none with the weights.
enum AdapterActivation {
    /// What was found.
    struct Found {
        let activation: HeadActivation
        /// The file beside the adapter that it depends on, if on one.
        let file: String?
    }

    /// Finds the activation: the one that the user names, else by the `problem_type` in the file of class names or in a
    /// `config.json` beside the adapter, else by that of the base, as for the base's own head. An adapter that
    /// `mergevit train` wrote without a `problem_type` has a softmax.
    ///
    /// - Parameters:
    ///   - given: the activation that the user names, if any.
    ///   - labels: the file of class names that the user names, or nil: then `labels.json` in the folder.
    ///   - outputs: the number of the head's outputs.
    /// - Throws: `ModelError` when a `problem_type` is not known, two files beside the adapter disagree, or a softmax
    ///   over one output is asked for.
    static func find(
        given: HeadActivation?, labels: String?, folder: String, base: Checkpoint, outputs: Int
    ) throws -> Found {
        if let given {
            guard given != .softmax || outputs > 1 else {
                throw ModelError(folder, "activation softmax: the head has one output, of which a softmax is always 1")
            }
            return Found(activation: given, file: nil)
        }
        if let found = try beside(labels: labels, folder: folder, outputs: outputs) { return found }
        let type = try ProblemType.read(base.configurationFile, path: "\(base.folder)/config.json")
        let activation = HeadActivation(type, outputs: outputs)
        // What `mergevit train` wrote says everything else than a softmax in labels.json.
        let record = "\(folder)/\(TrainedAdapter.recordName)"
        if activation != .softmax, outputs > 1,
            (try? JSON(contentsOf: record))?.objectValue?["format"] == "mergevit-training"
        {
            return Found(activation: .softmax, file: record)
        }
        return Found(activation: activation, file: nil)
    }

    /// The activation that a file beside the adapter says, or nil when none does.
    ///
    /// - Throws: as `find`.
    static func beside(labels: String?, folder: String, outputs: Int) throws -> Found? {
        let said = try files(labels: labels, folder: folder).compactMap { path in
            try ProblemType.read(JSON(contentsOf: path), path: path).map { (type: $0, path: path) }
        }
        guard let first = said.first else { return nil }
        let activation = HeadActivation(first.type, outputs: outputs)
        if let other = said.first(where: { $0.type != first.type }) {
            throw ModelError(
                first.path,
                "problem_type is \(first.type.rawValue) here, \(other.type.rawValue) in \(other.path)",
                remedy: AdapterRemedy.nameActivation(activation))
        }
        return Found(activation: activation, file: first.path)
    }

    /// The JSON files beside an adapter that may have a `problem_type`. Recipes tell files by the last part of their
    /// names, so no two have the same.
    private static func files(labels: String?, folder: String) -> [String] {
        let first = labels ?? "\(folder)/labels.json"
        let second = "\(folder)/config.json"
        let paths = SmallFiles.name(of: first) == SmallFiles.name(of: second) ? [first] : [first, second]
        return paths.filter { !$0.hasSuffix(".txt") && access($0, F_OK) == 0 }
    }
}
