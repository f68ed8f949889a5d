package import Files
package import Tensors

/// A checkpoint, adapter or bundle that cannot be used: which file or folder, and why.
package struct ModelError: ErrorWithRemedy, Equatable, Sendable, CustomStringConvertible {
    /// The file or folder.
    package let path: String
    /// What was expected and what was found.
    package let reason: String
    package let remedy: (any Remedy)?

    /// An error about one file or folder.
    package init(_ path: String, _ reason: String, remedy: (any Remedy)? = nil) {
        self.path = path
        self.reason = reason
        self.remedy = remedy
    }

    /// The path and the reason.
    package var description: String { "\(path): \(reason)" }

    package static func == (one: ModelError, other: ModelError) -> Bool {
        one.path == other.path && one.reason == other.reason
            && one.remedy.map { AnyHashable($0) } == other.remedy.map { AnyHashable($0) }
    }
}

/// What can be done about a checkpoint, adapter or bundle that cannot be used.
package enum ModelRemedy: Remedy {
    /// Download the model of this name from the Hugging Face Hub.
    case download(String)
    /// Give a linear head over the same features in a file of its own.
    case giveHead
    /// Give the adapter, or the head, at the path as one of those to be merged.
    case giveAdapter(String)
    /// Give the adapter at the path as such, and as the base the model that it was trained for.
    case giveAdapterWithBase(String)
    /// Merge the adapter at the path into a bundle first.
    case merge(String)
    /// Label with the bundle at the path, or merge the adapters that it was made of.
    case labelWithBundle(String)
    /// Label with the checkpoint at the path, which has a head.
    case labelWithCheckpoint(String)
    /// Give preprocessing settings: a file, or a preset by its name.
    case givePreprocessor
    /// Give a file of preprocessing settings.
    case givePreprocessorFile
    /// Correct the given preprocessing settings: a file, or a preset by its name.
    case correctPreprocessor
    /// Quantize the bundle again.
    case quantize
    /// Make the bundle's fits again.
    case fit
}

extension Tensor {
    /// Rejects a tensor with an element that is infinite or not a number: no prediction of such a model is valid.
    ///
    /// - Throws: `ModelError` about `path` naming the tensor and its first such element.
    package func checkFinite(_ name: String, path: String) throws {
        guard let index = firstNotFinite else { return }
        throw ModelError(path, "tensor \"\(name)\": element \(index) is \(values[index]), not a finite number")
    }
}
