package import VisionTransformers

/// An adapter as it was named, and the files with what its folder lacks.
package struct NamedAdapter: Sendable, Equatable {
    /// The task's name.
    package let task: String
    /// The adapter's folder or file, or that of a head.
    package let path: String
    /// The file with the class names, if they are apart.
    package let labels: String?
    /// The file with the head, if it is apart.
    package let headFile: String?
    /// The activation of the head; nil to find it beside the adapter or the base.
    package let activation: HeadActivation?

    /// An adapter as it was named.
    package init(
        task: String, path: String, labels: String? = nil, headFile: String? = nil, activation: HeadActivation? = nil
    ) {
        (self.task, self.path, self.labels) = (task, path, labels)
        (self.headFile, self.activation) = (headFile, activation)
    }

    /// Reads the adapter.
    ///
    /// - Throws: as `Adapter` does.
    package func open(over base: Checkpoint, allowsOtherBase: Bool) throws -> Adapter {
        try Adapter(
            task: task, path: path, labels: labels, headFile: headFile, activation: activation, base: base,
            allowsOtherBase: allowsOtherBase)
    }
}
