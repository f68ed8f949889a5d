package import Adapters
package import Datasets
package import Evaluation
package import Files
package import Labelling
import Tensors
package import VisionTransformers

/// Measures how well models label images whose classes are known: reads the data, opens the model, lets it predict, and
/// computes metrics.
package struct EvaluationJob {
    /// What is evaluated.
    package enum Subject {
        /// A bundle.
        case bundle(String)
        /// Every adapter alone over the base, at weight 1, on the images of its task.
        case adapters([NamedAdapter], base: String, allowsOtherBase: Bool)
        /// Rows that `label` wrote, and the activations of tasks that are no softmax.
        case predictions(BytePath, activations: [String: HeadActivation])
    }

    /// What a run tells of.
    package enum Event {
        /// Something that a user should know.
        case warning(Warning)
        /// An adapter is used over another base than it was trained over.
        case otherBase(String)
        /// Which precision `auto` took, and why.
        case precision(String)
        /// Patch tokens are merged.
        case tokenMerging(TokenMerging)
        /// A model is ready; it predicts the images of a source.
        case began(InputSource)
        /// A batch is done.
        case progress(LabellingProgress)
        /// The model is through.
        case ended(LabellingProgress)
    }

    private let data: EvaluationData
    private let model: ModelSettings
    private let options: LabellingOptions
    private let bootstrap: BootstrapOptions
    private let version: String
    private let report: (Event) -> Void

    /// Evaluates on some data.
    ///
    /// - Parameters:
    ///   - options: how a run goes over the images.
    ///   - bootstrap: how intervals of means are computed.
    ///   - version: the version of this program, for the reports.
    ///   - report: told what happens.
    package init(
        _ data: EvaluationData, model: ModelSettings, options: LabellingOptions, bootstrap: BootstrapOptions,
        version: String, report: @escaping (Event) -> Void
    ) {
        (self.model, self.options, self.bootstrap) = (model, options, bootstrap)
        (self.version, self.report) = (version, report)
        var data = data
        data.warn = { report(.warning($0)) }
        self.data = data
    }

    /// Measures a model, adapters one by one, or predictions that were written earlier.
    ///
    /// - Parameter rows: where every prediction is written, if anywhere.
    package func evaluation(of subject: Subject, rows: PredictionRows?) throws -> EvaluationResult {
        let tasks: [TaskEvaluation]
        let description: JSON
        switch subject {
        case .bundle(let folder):
            tasks = try measured(predictions(of: folder, rows: rows))
            description = try self.description(ofBundle: folder)
        case .adapters(let adapters, let base, let allowsOtherBase):
            let (results, object) = try self.adapters(adapters, base, allowsOtherBase, rows)
            (tasks, description) = (measured(results), object)
        case .predictions(let path, let activations):
            tasks = try predictions(path, activations, rows)
            description = .object([
                "kind": "predictions", "path": .string(path.description),
                "sha256": .string(try SHA256.text(ofFile: path.description)),
            ])
        }
        return EvaluationResult(tasks: tasks, bootstrap: bootstrap, version: version, model: description)
    }

    /// Measures a bundle, and each task's own adapter alone over the base on the same images: what merging costs.
    ///
    /// - Parameters:
    ///   - recipe: the bundle's recipe, with the files that have moved where they are now.
    ///   - rows: where every prediction of the bundle is written, if anywhere.
    package func evaluation(ofBundle folder: String, withOwn recipe: Recipe, rows: PredictionRows?) throws
        -> EvaluationResult
    {
        // Files and heads first: a mistake there should be reported before a model runs.
        let heads = try ModelBundle(folder: folder).heads
        for task in data.names {
            guard let head = heads.first(where: { $0.task == task }) else {
                throw UnknownTask(task, tasks: heads.map(\.task))
            }
            try head.activation.requireSoftmax(task: task, for: "a comparison with its own adapter")
        }
        let (base, adapters) = try recipe.ownAdapters(of: data.names)
        let merged = try predictions(of: folder, rows: rows)
        let (own, description) = try self.adapters(adapters, base, false, nil)
        let comparisons = try zip(own, merged).map { own, merged in
            guard let reindexed = own.predictions.reindexed(from: own.task.classes, to: merged.task.classes) else {
                throw ModelError(
                    folder, "the classes of \(merged.task.name) are not those that its own adapter has")
            }
            return TaskComparison(merged.task, reindexed, merged.predictions, bootstrap: bootstrap)
        }
        return EvaluationResult(
            tasks: measured(merged), own: OwnComparison(tasks: comparisons, adapters: description),
            bootstrap: bootstrap, version: version, model: try self.description(ofBundle: folder))
    }

    /// Measures two bundles on the same images.
    package func comparison(_ first: String, _ second: String) throws -> Comparison {
        try checkClasses(of: first, second)
        let firstPredictions = try predictions(of: first, rows: nil)
        let secondPredictions = try predictions(of: second, rows: nil)
        let tasks = try zip(firstPredictions, secondPredictions).map { a, b in
            guard let reindexed = b.predictions.reindexed(from: b.task.classes, to: a.task.classes) else {
                throw ModelError(second, "the classes of \(a.task.name) are not those that it has in \(first)")
            }
            return TaskComparison(a.task, a.predictions, reindexed, bootstrap: bootstrap)
        }
        for task in tasks { task.predictions.forEach { warn(of: $0, task.task) } }
        return Comparison(
            tasks: tasks, names: [first, second],
            models: [try description(ofBundle: first), try description(ofBundle: second)], bootstrap: bootstrap,
            version: version)
    }

    /// Checks that two bundles have the same classes for the tasks that are compared, in any order.
    private func checkClasses(of first: String, _ second: String) throws {
        let heads = (try ModelBundle(folder: first).heads, try ModelBundle(folder: second).heads)
        for task in data.names {
            guard let head = heads.0.first(where: { $0.task == task }),
                let other = heads.1.first(where: { $0.task == task })
            else { continue }
            for head in [head, other] { try head.activation.requireSoftmax(task: task, for: "a comparison") }
            guard Set(head.classes) == Set(other.classes) else {
                throw ModelError(second, "the classes of \(task) are not those that it has in \(first)")
            }
        }
    }

    private typealias TaskResult = (task: EvaluationTask, predictions: TaskPredictions)

    private func measured(_ results: [TaskResult]) -> [TaskEvaluation] {
        results.map { task, predictions in
            warn(of: predictions, task)
            return TaskEvaluation(
                task, predictions, minimum: data.tasks.first { $0.name == task.name }?.minimum, bootstrap: bootstrap)
        }
    }

    /// Names the first of the images without a prediction.
    private func warn(of predictions: TaskPredictions, _ task: EvaluationTask) {
        guard let first = predictions.failures.first else { return }
        report(
            .warning(
                """
                \(task.name): \(predictions.failures.count) of \(task.items.count) image(s) have no answer, the first \
                \(first.path): \(first.reason)
                """))
    }

    // MARK: Merged models

    private func predictions(of bundle: String, rows: PredictionRows?) throws -> [TaskResult] {
        // The data before the model is packed: a mistake there should be reported at once.
        let heads = try ModelBundle(folder: bundle).heads
        let labels = try data.names.map { task in
            guard let head = heads.first(where: { $0.task == task }) else {
                throw UnknownTask(task, tasks: heads.map(\.task))
            }
            return TaskLabels(name: task, classes: head.classes, activation: head.activation)
        }
        let tasks = try data.evaluationTasks(of: labels)
        let loaded = try LoadedBundle(folder: bundle, model, for: data.names)
        if let reason = loaded.precisionReason { report(.precision(reason)) }
        if let merging = loaded.tokenMerging { report(.tokenMerging(merging)) }
        return try predictions(to: tasks, loaded.preparer, loaded.classifier, rows)
    }

    private func predictions(
        to tasks: [EvaluationTask], _ preparer: any ImagePreparing, _ classifier: any MultitaskClassifying,
        _ rows: PredictionRows?
    ) throws -> [TaskResult] {
        let thresholds = data.tasks.compactMap { task in data.threshold(of: task).map { (task.name, $0) } }
        let plan = EvaluationPlan(tasks, thresholds: Dictionary(uniqueKeysWithValues: thresholds))
        report(.began(plan.source))
        let (predictions, progress) = try evaluate(
            plan, preparer: preparer, classifier: classifier, rows: rows, options: options
        ) { report(.progress($0)) }
        report(.ended(progress))
        return Array(zip(tasks, predictions))
    }

    /// What a bundle is, without the class names, which are with the tasks; with the precision, unless it is f32.
    private func description(ofBundle folder: String) throws -> JSON {
        var object = try ModelDescription.of(folder).objectValue ?? [:]
        object["tasks"] = nil
        let bundle = try ModelBundle(folder: folder)
        let precision = try model.precision.precision(int8: Int8Finding(bundle))
        object["precision"] = Self.description(precision)
        let merging = try model.tokenMerging(of: bundle, precision)
        object["token_merging"] = merging.map { .array($0.counts.map(JSON.int)) }
        return .object(object)
    }

    /// A precision, or nil for f32.
    private static func description(_ precision: ComputePrecision) -> JSON? {
        precision == .f32 ? nil : .string(precision.rawValue)
    }

    // MARK: Adapters

    private func adapters(
        _ adapters: [NamedAdapter], _ folder: String, _ allowsOtherBase: Bool, _ rows: PredictionRows?
    ) throws -> (results: [TaskResult], description: JSON) {
        let base = try Checkpoint(folder: folder, preprocessor: model.preprocessor)
        let preprocessing = try base.preprocessing()
        let preparer = PatchPreparer(preprocessing, configuration: base.configuration, decoding: model.decoding)
        func adapter(_ task: String) throws -> Adapter {
            guard let source = adapters.first(where: { $0.task == task }) else {
                throw UnknownTask(task, tasks: adapters.map(\.task))
            }
            return try source.open(over: base, allowsOtherBase: allowsOtherBase)
        }
        // All data and adapters before the first one predicts: a mistake there should be reported at once.
        let evaluated = try data.evaluationTasks(
            of: data.names.map { task in
                let head = try adapter(task).head
                return TaskLabels(name: task, classes: head.classes, activation: head.activation)
            })
        let precision = model.precision.precision(int8: .notABundle)
        let merging = try model.tokenMerging?.schedule(base.configuration, preprocessing)
        if let merging { report(.tokenMerging(merging)) }
        var results: [TaskResult] = []
        var descriptions: [JSON] = []
        for task in evaluated {
            let adapter = try adapter(task.name)
            for warning in try adapter.warnings(over: base) {
                let isOther = warning.text == adapter.otherBase
                let warning = warning.about(adapter.task)
                report(isOther ? .otherBase(warning.text) : .warning(warning))
            }
            let alone = try MergedBackbone(adapter, aloneOver: base)
            let network = try GroupedModel(
                [TaskGroup(backbone: BackboneWeights(alone), tasks: [0])], configuration: base.configuration,
                heads: [adapter.head],
                imageSize: base.configuration.inputSize(preprocessing), threads: model.threads,
                precision: precision, tokenMerging: merging)
            results += try predictions(to: [task], preparer, BundleClassifier(network), rows)
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
        description["precision"] = Self.description(precision)
        return (results, .object(description))
    }

    // MARK: Predictions written earlier

    private func predictions(
        _ path: BytePath, _ given: [String: HeadActivation], _ rows: PredictionRows?
    ) throws -> [TaskEvaluation] {
        let activations = data.names.map { given[$0] ?? .softmax }
        try data.checkSettings(activations)
        let reading = PredictionsReading(
            tasks: data.names, activations: Dictionary(uniqueKeysWithValues: zip(data.names, activations)),
            separator: data.separator)
        let file = try PredictionsFile(path, reading: reading)
        return try zip(data.tasks, activations).flatMap { task, activation in
            let (evaluated, predictions) =
                switch activation {
                case .softmax:
                    try file.predictions(
                        to: task.name, images: data.classImages(of: task, needsFiles: false), rows: rows)
                case .sigmoid:
                    try file.predictions(
                        to: task.name, images: data.labelImages(of: task, needsFiles: false),
                        threshold: data.threshold(of: task), rows: rows)
                case .identity:
                    try file.predictions(
                        to: task.name,
                        images: data.values(of: task, outputs: file.outputs(of: task.name), needsFiles: false),
                        rows: rows)
                }
            try data.check(evaluated)
            for missing in predictions.missing { report(.warning("\(task.name): \(missing)")) }
            return measured([(evaluated, predictions)])
        }
    }
}
