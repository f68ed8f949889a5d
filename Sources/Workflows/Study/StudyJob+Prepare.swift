import Adapters
import Compute
import Datasets
import Evaluation
import Files
import Images
import Labelling
import Tensors
import Training
import VisionTransformers

extension StudyJob {
    /// Reports an event; throws `CancellationRequested` to stop.
    typealias Tell = (StudyEvent) throws -> Void

    /// Records everything that all results depend on besides images and adapters, or checks that it has not changed.
    ///
    /// - Throws: `ModelError` naming the difference; `FileError` when a file of the base cannot be read.
    func bindOptions(_ store: StudyStore, base: Checkpoint) throws {
        try store.bind("version", .string(version))
        try store.bind("tasks", .array(tasks.map { .string($0.name) }))
        try store.bind("base", SHA256.json(ofFiles: Recipe.files(of: base)))
        var options: JSONObject = [
            "calibration_images": .int(calibrationImages), "tuning_images": .int(tuningImages),
            "scales": .array(scales.map(JSON.double)), "alpha": .string(decoding.alpha.rawValue),
            "max_pixels": .int(decoding.maximumPixels),
        ]
        if precision != .f32 { options["precision"] = .string(precision.rawValue) }
        try store.bind("options", .object(options))
    }

    /// Trains missing adapters and heads, opens all of them, and decodes the pictures for evaluation.
    ///
    /// - Throws: `CancellationRequested`; `ModelError`, `FileError`, `LabellingError` naming the invalid input.
    func material(
        _ store: StudyStore, base: Checkpoint, reader: inout PictureLoader, _ tell: Tell
    ) throws -> StudyInputs {
        try checkGiven(base)
        let images = try tasks.map { try StudyImages($0, seed: seed) }
        for images in images { for note in images.notes { try tell(.note(note.about(images.name))) } }
        for images in images where images.split != "test" {
            try tell(.note("\(images.name): there is no folder test; it is evaluated on \(images.split)"))
        }
        for (task, images) in zip(tasks, images) {
            try train(task, images, store, pool: reader.pool, tell)
        }
        let opened = try zip(tasks, images).map { task, images in
            let (adapter, alone) = (
                try open(task, isHead: false, over: base, tell), try open(task, isHead: true, over: base, tell)
            )
            if adapter.hasPlaceholderNames {
                throw ModelError(adapter.path, "has no class names (labels.json), which the evaluation needs")
            }
            for item in [adapter, alone] { try item.head.activation.requireSoftmax(task: task.name, for: "study") }
            let head = try StudyInputs.matched(alone, to: adapter.head)
            for (kind, item) in [("adapter", adapter), ("head", alone)] {
                var value = JSONObject()
                value["sha256"] = try AdapterDescription.json(item.path).objectValue?["sha256"]
                value["classes"] = .array(item.head.classes.map(JSON.string))
                try store.bind("\(kind) of \(task.name)", .object(value))
            }
            let measured = try EvaluationTask(name: task.name, classes: adapter.head.classes, images: images.measured)
            return (adapter, head, images, measured)
        }
        let total = opened.reduce(0) { $0 + $1.3.items.count }
        var before = 0
        let parts = try opened.map { adapter, head, images, measured in
            if !measured.unknown.isEmpty {
                let names = measured.unknown.map { "\"\($0.name)\" (\($0.images))" }.joined(separator: ", ")
                try tell(.note("\(measured.name): the head has no class \(names); those images are left out"))
            }
            let items = measured.items.map { LabelledImages.Item(path: $0.path, class: $0.truth) }
            let pictures = try reader.read(items, of: measured.source) {
                try tell(.reading(done: before + $0, of: total))
            }
            before += items.count
            try report(pictures, of: measured.name, tell)
            guard !pictures.pictures.isEmpty else {
                throw ModelError("\(measured.source)", "none of its images can be used")
            }
            try store.bind("\(images.split) images of \(measured.name)", pictures.binding)
            return StudyInputs.Task(
                name: measured.name, adapter: adapter, head: head, images: images, pictures: pictures)
        }
        return StudyInputs(base: base, preparer: reader.preparer, tasks: parts)
    }

    /// Opens a task's adapter or its head alone, and reports warnings.
    private func open(_ task: Task, isHead: Bool, over base: Checkpoint, _ tell: Tell) throws -> Adapter {
        let adapter = try Adapter(
            task: task.name, path: place(of: task, isHead: isHead), base: base, allowsOtherBase: allowsOtherBase)
        for warning in try adapter.warnings(over: base) { try tell(.note(warning.about(task.name))) }
        return adapter
    }

    /// Opens the given adapters and heads, so that invalid ones are reported before anything is trained.
    private func checkGiven(_ base: Checkpoint) throws {
        for task in tasks {
            for path in [task.adapter, task.head].compactMap(\.self) {
                let adapter = try Adapter(
                    task: task.name, path: path, base: base, allowsOtherBase: allowsOtherBase)
                try adapter.head.activation.requireSoftmax(task: task.name, for: "study")
            }
        }
    }

    /// The calibrator over the training images that scales and heads are fitted on.
    func tuner(
        _ material: StudyInputs, _ store: StudyStore, reader: inout PictureLoader, cache: FeatureCache?, _ tell: Tell
    ) throws -> MergeTuner {
        let items = try material.tasks.map { try $0.images.calibration(most: calibrationImages) }
        let total = items.reduce(0) { $0 + $1.count }
        var before = 0
        let preparer = reader.preparer
        let images = try zip(material.tasks, items).map { task, items in
            let pictures = try reader.read(items, of: task.images.measured.source) {
                try tell(.reading(done: before + $0, of: total))
            }
            before += items.count
            try report(pictures, of: task.name, tell)
            try store.bind("calibration images of \(task.name)", pictures.binding)
            return CalibrationImages(task: task.name, count: pictures.pictures.count) { image, patches in
                preparer.writePatches(of: pictures.pictures[image], into: patches)
            }
        }
        return try MergeTuner(
            base: material.base, adapters: material.tasks.map { WeightedAdapter($0.adapter) }, images: images,
            imageSize: preparer.imageSize, passes: passes,
            cache: cache)
    }

    private func report(_ pictures: PictureStore, of task: String, _ tell: Tell) throws {
        for (path, reason) in pictures.skipped { try tell(.skipped(task: task, path: path, reason: reason)) }
    }
}
