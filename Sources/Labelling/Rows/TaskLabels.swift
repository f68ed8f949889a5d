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
