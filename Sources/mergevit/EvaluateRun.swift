import Adapters
import Images
import Labelling
import Logging
import Tensors
import VisionTransformers

/// The steps of an evaluation: read the data, open the model, let it answer, measure.
struct EvaluateRun {
    let data: LabelledDataOptions
    let engine: EngineOptions
    let report: ReportOptions
    let log: Logger

    /// Measures one model, adapters one by one, or answers that were written earlier.
    ///
    /// - Parameter rows: where every answer is written, if anywhere.
    func evaluation(of subject: EvaluatedOptions, rows: AnswerRows?) throws -> Evaluation {
        let tasks: [TaskEvaluation]
        let model: JSON
        switch try subject.subject() {
        case .bundle(let folder), .pair(let folder, _):
            tasks = try measured(answers(of: folder, images: data.images(log), rows: rows))
            model = try description(ofBundle: folder)
        case .adapters(let base):
            (tasks, model) = try adapters(subject, base: base, rows: rows)
        case .predictions(let path):
            tasks = try predictions(path, rows: rows)
            model = .object([
                "kind": "predictions", "path": .string(path.description),
                "sha256": .string(try FileDigest.sha256(path.description)),
            ])
        }
        return Evaluation(
            tasks: tasks, bootstrap: report.bootstrapOptions, version: MergeVit.versionNumber, model: model)
    }

    /// Measures two models on the same images.
    func comparison(_ first: String, _ second: String) throws -> Comparison {
        let images = try data.images(log)
        try checkClasses(of: first, second)
        let ours = try answers(of: first, images: images, rows: nil)
        let others = try answers(of: second, images: images, rows: nil)
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
            guard Set(head.classes) == Set(other.classes) else {
                throw ModelError(second, "the classes of \(task) are not those that it has in \(first)")
            }
        }
    }

    private typealias Answered = (task: EvaluationTask, answers: TaskAnswers)

    private func measured(_ answered: [Answered]) -> [TaskEvaluation] {
        answered.map { task, answers in
            warn(of: answers, task)
            return TaskEvaluation(
                task, answers, minimumAccuracy: data.minimum(of: task.name), bootstrap: report.bootstrapOptions)
        }
    }

    /// Names the first of the images without an answer.
    private func warn(of answers: TaskAnswers, _ task: EvaluationTask) {
        guard let first = answers.failures.first else { return }
        log.warning(
            """
            \(task.name): \(answers.failures.count) of \(task.items.count) image(s) have no answer, the first \
            \(first.path): \(first.reason)
            """)
    }

    // MARK: Merged models

    private func answers(
        of bundle: String, images: [(task: String, images: LabelledImages)], rows: AnswerRows?
    ) throws -> [Answered] {
        let (preparer, classifier) = try openBundle(engine.bundleOptions(bundle), for: data.tasks)
        let tasks = try images.map { task, images in
            guard let known = classifier.tasks.first(where: { $0.name == task }) else {
                throw LabellingError.unknownTask(name: task, known: classifier.tasks.map(\.name))
            }
            try known.activation.requireSoftmax(task: task, for: "evaluate")
            return try evaluated(task, known.classes, images)
        }
        return try answers(to: tasks, preparer, classifier, rows)
    }

    private func evaluated(_ name: String, _ classes: [String], _ images: LabelledImages) throws -> EvaluationTask {
        let task = try EvaluationTask(name: name, classes: classes, images: images)
        try data.check(task, log)
        return task
    }

    private func answers(
        to tasks: [EvaluationTask], _ preparer: any ImagePreparing, _ classifier: any MultitaskClassifying,
        _ rows: AnswerRows?
    ) throws -> [Answered] {
        let plan = EvaluationPlan(tasks)
        var display = ProgressDisplay(plan.source, isShown: !report.isQuiet && StandardStream.error.isTerminal)
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
    private func precisionDescription(_ precision: InferencePrecision) -> JSON? {
        precision == .f32 ? nil : .string(precision.rawValue)
    }

    // MARK: Adapters

    /// Every adapter alone over the base, at weight 1, on the images of its task.
    private func adapters(
        _ subject: EvaluatedOptions, base folder: String, rows: AnswerRows?
    ) throws -> (tasks: [TaskEvaluation], model: JSON) {
        let base = try Checkpoint(folder: folder)
        let preprocessing = try ModelBundle.preprocessing(folder)
        let preparer = PatchPreparer(
            preprocessing, configuration: base.configuration, decoding: engine.decoding.options)
        var tasks: [TaskEvaluation] = []
        var descriptions: [JSON] = []
        for (task, images) in try data.images(log) {
            let adapter = try Adapter(
                task: task, path: subject.adapters.value(of: task) ?? "", labels: subject.labels.value(of: task),
                base: base, allowsOtherBase: subject.otherBase.isAllowed)
            try subject.otherBase.warn(of: [adapter], over: base, log)
            let alone = try MergedBackbone(adapter, aloneOver: base)
            let model = try GroupedModel(
                [.init(alone, tasks: [0])], configuration: base.configuration, heads: [adapter.head],
                imageSize: base.configuration.inputSize(preprocessing), threads: engine.threadCount,
                precision: engine.precision.precision(keepsLabelsInInt8: false))
            try adapter.head.activation.requireSoftmax(task: task, for: "evaluate")
            let evaluated = try evaluated(task, adapter.head.classes, images)
            tasks += measured(try answers(to: [evaluated], preparer, BundleClassifier(model), rows))
            var description = try AdapterDescription.json(adapter.path).objectValue ?? [:]
            description["class_names"] = nil
            descriptions.append(.object(description))
        }
        let files = ["\(folder)/config.json", "\(folder)/\(ModelBundle.preprocessingName)"] + base.files.map(\.path)
        var description: JSONObject = [
            "kind": "adapters one by one", "path": .string(folder),
            "base": .object(["path": .string(folder), "sha256": try FileDigest.byName(files)]),
            "adapters": .array(descriptions),
        ]
        description["precision"] = precisionDescription(engine.precision.precision(keepsLabelsInInt8: false))
        return (tasks, .object(description))
    }

    // MARK: Answers written earlier

    private func predictions(_ path: BytePath, rows: AnswerRows?) throws -> [TaskEvaluation] {
        let file = try PredictionsFile(path)
        return try data.images(needsFiles: false, log).flatMap { task, images in
            let (evaluated, answers) = try file.answers(to: task, images: images, rows: rows)
            try data.check(evaluated, log)
            for missing in answers.missing { log.warning("\(task): \(missing)") }
            return measured([(evaluated, answers)])
        }
    }
}
