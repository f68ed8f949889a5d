import Adapters
import Datasets
import Evaluation
import Files
import Images
import Labelling
import Logging
import Tensors
import VisionTransformers
import Workflows

/// The steps of an evaluation: read the data, open the model, let it answer, measure.
struct EvaluateRun {
    let data: LabelledDataOptions
    let engine: EngineOptions
    let report: ReportOptions
    let log: Logger

    /// Measures one model, adapters one by one, or answers that were written earlier.
    ///
    /// - Parameter rows: where every answer is written, if anywhere.
    func evaluation(of subject: EvaluatedOptions, rows: PredictionRows?) throws -> Evaluation {
        let tasks: [TaskEvaluation]
        let model: JSON
        switch try subject.subject() {
        case .bundle(let folder), .pair(let folder, _):
            tasks = try measured(answers(of: folder, rows: rows))
            model = try description(ofBundle: folder)
        case .adapters(let base):
            (tasks, model) = try adapters(subject, base: base, rows: rows)
        case .predictions(let path):
            tasks = try predictions(path, subject, rows: rows)
            model = .object([
                "kind": "predictions", "path": .string(path.description),
                "sha256": .string(try SHA256.text(ofFile: path.description)),
            ])
        }
        return Evaluation(
            tasks: tasks, bootstrap: report.bootstrapOptions, version: MergeVit.versionNumber, model: model)
    }

    /// Measures two models on the same images.
    func comparison(_ first: String, _ second: String) throws -> Comparison {
        try checkClasses(of: first, second)
        let ours = try answers(of: first, rows: nil)
        let others = try answers(of: second, rows: nil)
        let tasks = try zip(ours, others).map { a, b in
            guard let moved = b.answers.reindexed(from: b.task.classes, to: a.task.classes) else {
                throw ModelError(second, "the classes of \(a.task.name) are not those that it has in \(first)")
            }
            return TaskComparison(a.task, a.answers, moved, bootstrap: report.bootstrapOptions)
        }
        for task in tasks { task.answers.forEach { warn(of: $0, task.task) } }
        return Comparison(
            tasks: tasks, names: [first, second],
            models: [try description(ofBundle: first), try description(ofBundle: second)],
            bootstrap: report.bootstrapOptions, version: MergeVit.versionNumber)
    }

    /// Checks that two bundles have the same classes for the tasks that are compared, in any order.
    private func checkClasses(of first: String, _ second: String) throws {
        let (ours, others) = (try ModelBundle(folder: first).heads, try ModelBundle(folder: second).heads)
        for task in data.tasks {
            guard let head = ours.first(where: { $0.task == task }),
                let other = others.first(where: { $0.task == task })
            else { continue }
            for head in [head, other] { try head.activation.requireSoftmax(task: task, for: "evaluate --compare") }
            guard Set(head.classes) == Set(other.classes) else {
                throw ModelError(second, "the classes of \(task) are not those that it has in \(first)")
            }
        }
    }

    private typealias Answered = (task: EvaluationTask, answers: TaskPredictions)

    private func measured(_ answered: [Answered]) -> [TaskEvaluation] {
        answered.map { task, answers in
            warn(of: answers, task)
            return TaskEvaluation(
                task, answers, minimum: data.minimum(of: task.name), bootstrap: report.bootstrapOptions)
        }
    }

    /// Names the first of the images without an answer.
    private func warn(of answers: TaskPredictions, _ task: EvaluationTask) {
        guard let first = answers.failures.first else { return }
        log.warning(
            """
            \(task.name): \(answers.failures.count) of \(task.items.count) image(s) have no answer, the first \
            \(first.path): \(first.reason)
            """)
    }

    // MARK: Merged models

    private func answers(of bundle: String, rows: PredictionRows?) throws -> [Answered] {
        // The data before the model is packed: what cannot be used should be known at once.
        let heads = try ModelBundle(folder: bundle).heads
        let known = try data.tasks.map { task in
            guard let head = heads.first(where: { $0.task == task }) else {
                throw UnknownTask(task, tasks: heads.map(\.task))
            }
            return TaskLabels(name: task, classes: head.classes, activation: head.activation)
        }
        let tasks = try evaluationTasks(of: known)
        let (preparer, classifier) = try openBundle(engine.bundleOptions(bundle), for: data.tasks)
        return try answers(to: tasks, preparer, classifier, rows)
    }

    private func evaluationTasks(of heads: [TaskLabels]) throws -> [EvaluationTask] {
        try data.checkOptions(heads.map { ($0.name, $0.activation) })
        return try heads.map { try data.evaluationTask(of: $0, log) }
    }

    private func answers(
        to tasks: [EvaluationTask], _ preparer: any ImagePreparing, _ classifier: any MultitaskClassifying,
        _ rows: PredictionRows?
    ) throws -> [Answered] {
        let thresholds = tasks.compactMap { task in data.threshold(of: task.name).map { (task.name, $0) } }
        let plan = EvaluationPlan(tasks, thresholds: Dictionary(uniqueKeysWithValues: thresholds))
        var display = ProgressDisplay(plan.source, isShown: !report.isQuiet)
        defer { display.finish() }
        let (answers, progress) = try evaluate(
            plan, preparer: preparer, classifier: classifier, rows: rows, options: engine.labellingOptions
        ) { display.update($0) }
        display.finish()
        if !report.isQuiet { StandardStream.error.write(display.summary(progress, verb: "evaluated")) }
        return Array(zip(tasks, answers))
    }

    /// What a bundle is, without the class names, which stand with the tasks; with the precision, unless it is f32.
    private func description(ofBundle folder: String) throws -> JSON {
        var object = try ModelDescription.of(folder).objectValue ?? [:]
        object["tasks"] = nil
        object["precision"] = precisionDescription(
            try engine.precision.precision(keepsLabelsInInt8: ModelBundle(folder: folder).keepsLabelsInInt8))
        return .object(object)
    }

    /// The precision that was computed in, or nil for f32.
    private func precisionDescription(_ precision: ComputePrecision) -> JSON? {
        precision == .f32 ? nil : .string(precision.rawValue)
    }

    // MARK: Adapters

    /// Every adapter alone over the base, at weight 1, on the images of its task.
    private func adapters(
        _ subject: EvaluatedOptions, base folder: String, rows: PredictionRows?
    ) throws -> (tasks: [TaskEvaluation], model: JSON) {
        let base = try Checkpoint(folder: folder, preprocessor: engine.preprocessor.choice)
        let preprocessing = try base.preprocessing()
        let preparer = PatchPreparer(
            preprocessing, configuration: base.configuration, decoding: engine.decoding.options)
        func adapter(_ task: String) throws -> Adapter {
            try Adapter(
                task: task, path: subject.adapters.value(of: task) ?? "", labels: subject.labels.value(of: task),
                headFile: subject.headFiles.heads.value(of: task), activation: subject.activation(of: task), base: base,
                allowsOtherBase: subject.otherBase.isAllowed)
        }
        // All data and adapters before the first one answers: what cannot be used should be known at once.
        let evaluated = try evaluationTasks(
            of: data.tasks.map { task in
                let head = try adapter(task).head
                return TaskLabels(name: task, classes: head.classes, activation: head.activation)
            })
        var tasks: [TaskEvaluation] = []
        var descriptions: [JSON] = []
        for task in evaluated {
            let adapter = try adapter(task.name)
            try subject.otherBase.warn(of: [adapter], over: base, log)
            let alone = try MergedBackbone(adapter, aloneOver: base)
            let model = try GroupedModel(
                [TaskGroup(backbone: BackboneWeights(alone), tasks: [0])], configuration: base.configuration,
                heads: [adapter.head],
                imageSize: base.configuration.inputSize(preprocessing), threads: engine.threadCount,
                precision: engine.precision.precision(keepsLabelsInInt8: false))
            tasks += measured(try answers(to: [task], preparer, BundleClassifier(model), rows))
            var description = try AdapterDescription.json(adapter.path).objectValue ?? [:]
            description["class_names"] = nil
            descriptions.append(.object(description))
        }
        let files = ["\(folder)/config.json"] + base.preprocessorPaths + base.files.map(\.path)
        var description: JSONObject = [
            "kind": "adapters one by one", "path": .string(folder),
            "base": .object(["path": .string(folder), "sha256": try SHA256.json(ofFiles: files)]),
            "adapters": .array(descriptions),
        ]
        description["precision"] = precisionDescription(engine.precision.precision(keepsLabelsInInt8: false))
        return (tasks, .object(description))
    }

    // MARK: Answers written earlier

    private func predictions(
        _ path: BytePath, _ subject: EvaluatedOptions, rows: PredictionRows?
    ) throws -> [TaskEvaluation] {
        let heads = data.tasks.map { (task: $0, activation: subject.activation(of: $0) ?? .softmax) }
        for given in subject.activations where !data.tasks.contains(given.name) {
            throw LabellingError.options("--activation \(given.name)=...: there is no --data of that name")
        }
        try data.checkOptions(heads)
        let reading = PredictionsReading(
            tasks: data.tasks, activations: Dictionary(uniqueKeysWithValues: heads.map { ($0.task, $0.activation) }),
            separator: data.separator)
        let file = try PredictionsFile(path, reading: reading)
        return try heads.flatMap { task, activation in
            let (evaluated, answers) =
                switch activation {
                case .softmax:
                    try file.answers(to: task, images: data.classImages(of: task, needsFiles: false, log), rows: rows)
                case .sigmoid:
                    try file.answers(
                        to: task, images: data.labelImages(of: task, needsFiles: false, log),
                        threshold: data.threshold(of: task), rows: rows)
                case .identity:
                    try file.answers(
                        to: task,
                        images: data.values(of: task, outputs: file.outputs(of: task), needsFiles: false, log),
                        rows: rows)
                }
            try data.check(evaluated, log)
            for missing in answers.missing { log.warning("\(task): \(missing)") }
            return measured([(evaluated, answers)])
        }
    }
}
