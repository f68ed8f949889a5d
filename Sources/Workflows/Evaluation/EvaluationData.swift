package import Datasets
import Evaluation
package import Files
import Labelling
package import VisionTransformers

/// The labelled images of an evaluation, and what is asked of each task.
package struct EvaluationData {
    /// A task.
    package struct Task: Sendable {
        /// Its name.
        package let name: String
        /// A folder with a folder per class, or a table.
        package let path: BytePath
        /// The smallest probability of a label, where images have several; nil for that of all tasks.
        package let threshold: Double?
        /// The smallest top-1 accuracy, if one is asked for.
        package let minimumAccuracy: Double?
        /// The smallest mean average precision, if one is asked for.
        package let minimumPrecision: Double?

        /// A task with its images.
        package init(
            name: String, path: BytePath, threshold: Double? = nil, minimumAccuracy: Double? = nil,
            minimumPrecision: Double? = nil
        ) {
            (self.name, self.path, self.threshold) = (name, path, threshold)
            (self.minimumAccuracy, self.minimumPrecision) = (minimumAccuracy, minimumPrecision)
        }

        /// The accuracy or mean average precision that is asked for.
        var minimum: Double? { minimumAccuracy ?? minimumPrecision }
    }

    /// The tasks, each once.
    package let tasks: [Task]
    /// How folders and tables are read; the task is filled in.
    package let reading: LabelledReading
    /// The smallest probability of a label for all tasks, where images have several.
    package var threshold: Double?
    /// What separates the labels of a cell; nil for the usual.
    package var labelSeparator: String?
    /// Whether images of classes that the head does not have are an error instead of being left out.
    package var isStrict = false
    /// Told of what a user should know.
    var warn: (Warning) -> Void = { _ in }

    /// The data of some tasks.
    package init(tasks: [Task], reading: LabelledReading) { (self.tasks, self.reading) = (tasks, reading) }

    /// The names of the tasks.
    var names: [String] { tasks.map(\.name) }

    /// The smallest probability of a task's label that is asked for, if any.
    func threshold(of task: Task) -> Double? { task.threshold ?? threshold }

    /// What separates the labels of a cell.
    var separator: String { labelSeparator ?? MultiLabelImages.usualSeparator }

    /// The labelled images of a task whose images show one class.
    ///
    /// - Parameter needsFiles: whether the files that a table names have to be there.
    func classImages(of task: Task, needsFiles: Bool = true) throws -> LabelledImages {
        let images = try LabelledImages(measuredOn: task.path, reading(task, needsFiles))
        for note in images.notes { warn(note.about(task.name)) }
        return images
    }

    /// The labelled images of a task whose images show any number of labels.
    func labelImages(of task: Task, needsFiles: Bool = true) throws -> MultiLabelImages {
        let images = try MultiLabelImages(measuredOn: task.path, reading(task, needsFiles), separator: separator)
        for note in images.notes { warn(note.about(task.name)) }
        return images
    }

    /// The images of a task with a value for each output.
    func values(of task: Task, outputs: [String], needsFiles: Bool = true) throws -> ImageValues {
        let images = try ImageValues(
            measuredOn: task.path, reading(task, needsFiles), task: task.name, outputs: outputs)
        for note in images.notes { warn(note.about(task.name)) }
        return images
    }

    private func reading(_ task: Task, _ needsFiles: Bool) -> LabelledReading {
        var reading = reading
        (reading.task, reading.needsFiles) = (task.name, needsFiles)
        return reading
    }

    /// The images of each task as its head predicts them. Warns of classes that do not fit.
    ///
    /// - Parameter heads: what each task's head predicts, in the order of the tasks.
    func evaluationTasks(of heads: [TaskLabels]) throws -> [EvaluationTask] {
        try checkSettings(heads.map(\.activation))
        return try zip(tasks, heads).map { data, head in
            let task =
                switch head.activation {
                case .softmax:
                    try EvaluationTask(name: head.name, classes: head.classes, images: classImages(of: data))
                case .sigmoid:
                    try EvaluationTask(name: head.name, classes: head.classes, images: labelImages(of: data))
                case .identity:
                    EvaluationTask(name: head.name, images: try values(of: data, outputs: head.classes))
                }
            try check(task)
            return task
        }
    }

    /// Checks that what is asked for are metrics that the tasks' heads have.
    ///
    /// - Throws: `EvaluationSettingsError` naming what does not fit, and the task.
    func checkSettings(_ activations: [HeadActivation]) throws(EvaluationSettingsError) {
        for (task, activation) in zip(tasks, activations) {
            if task.minimumAccuracy != nil, activation != .softmax { throw .noAccuracy(task: task.name, activation) }
            if task.minimumPrecision != nil, activation != .sigmoid {
                throw .noMeanPrecision(task: task.name, activation)
            }
            if task.threshold != nil, activation != .sigmoid { throw .noThreshold(task: task.name, activation) }
        }
        guard !activations.contains(.sigmoid) else { return }
        for (setting, isGiven) in [("a threshold", threshold != nil), ("a label separator", labelSeparator != nil)] {
            guard !isGiven else { throw .noSigmoid(setting: setting) }
        }
    }

    /// Warns of classes that the head does not have and of those without images, or refuses the former.
    func check(_ task: EvaluationTask) throws {
        if !task.unknown.isEmpty {
            let names = task.unknown.map { "\"\($0.name)\" (\($0.images))" }.joined(separator: ", ")
            let message = "\(task.name): the head has no class \(names)"
            guard !isStrict else { throw FileError(path: task.source, reason: message) }
            let what = task.activation == .sigmoid ? "these labels" : "\(task.unknownImages) image(s)"
            warn("\(message); \(what) left out")
        }
        let empty = task.classesWithoutImages
        if !empty.isEmpty {
            warn("\(task.name): \(empty.count) of \(task.classes.count) classes have no images: \(Self.some(empty))")
        }
    }

    /// The first few names, and how many more there are.
    private static func some(_ names: [String]) -> String {
        let first = names.prefix(5).joined(separator: ", ")
        return names.count > 5 ? "\(first) and \(names.count - 5) more" : first
    }
}

/// Something that is asked of tasks, and that their heads do not have.
package enum EvaluationSettingsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A smallest accuracy.
    case noAccuracy(task: String, HeadActivation)
    /// A smallest mean average precision.
    case noMeanPrecision(task: String, HeadActivation)
    /// A threshold.
    case noThreshold(task: String, HeadActivation)
    /// A setting for all tasks with a sigmoid, of which there are none.
    case noSigmoid(setting: String)

    /// What is wrong.
    package var description: String {
        func head(_ task: String, _ activation: HeadActivation) -> String {
            "\(task): its head has activation \(activation.rawValue)"
        }
        return switch self {
        case .noAccuracy(let task, let activation): "\(head(task, activation)), so there is no top-1 accuracy"
        case .noMeanPrecision(let task, let activation):
            "\(head(task, activation)); mean average precision is for images of several labels"
        case .noThreshold(let task, let activation):
            "\(head(task, activation)); thresholds are for images of several labels"
        case .noSigmoid(let setting):
            "\(setting) is for images of several labels; no task has a head with a sigmoid"
        }
    }
}
