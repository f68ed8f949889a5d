package import VisionTransformers

/// What one head answers: its task's name and its classes, in the order of its logits.
package struct TaskLabels: Sendable, Equatable {
    /// The task's name, as columns are named after it.
    package let name: String
    /// The class names, one a logit.
    package let classes: [String]
    /// What turns the logits into an answer.
    package let activation: HeadActivation

    /// A task and its classes.
    package init(name: String, classes: [String], activation: HeadActivation = .softmax) {
        self.name = name
        self.classes = classes
        self.activation = activation
    }
}

/// Turns one encoded image file into the network's input.
///
/// `prepare` is called from several threads at once. The error it throws is put into the file's row as it describes
/// itself, so its description is the reason alone, without the file's name.
package protocol ImagePreparing: Sendable {
    /// How many floats one prepared image takes.
    var valuesPerImage: Int { get }

    /// Decodes `encoded` and writes `valuesPerImage` floats.
    ///
    /// - Throws: any error; its description is the reason the file's row gives.
    func prepare(_ encoded: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>) throws
}

/// A model that answers for all its tasks in one pass. It is called from one thread only.
package protocol MultitaskClassifying {
    /// The tasks, in the order of their logits.
    var tasks: [TaskLabels] { get }

    /// Computes logits of shape (images, classes of all tasks), the tasks in their order.
    ///
    /// - Throws: any error; it ends the run.
    func logits(_ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>)
        throws
}
