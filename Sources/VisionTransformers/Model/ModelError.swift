package import Tensors

/// A checkpoint, adapter or bundle that cannot be used: which file or folder, and why.
package struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file or folder.
    package let path: String
    /// What was expected and what was found.
    package let reason: String

    /// An error about one file or folder.
    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    /// The path and the reason.
    package var description: String { "\(path): \(reason)" }
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
