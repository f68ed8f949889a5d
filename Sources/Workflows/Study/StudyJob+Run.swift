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
    /// The variants under which results of a task's adapter alone, and of its head over the unchanged base, are stored.
    static let single = "single"
    static let headOnly = "head-only"

    /// Trains missing adapters and heads, and computes missing results.
    ///
    /// - Parameter progress: receives every event; a study that is stopped keeps finished results.
    /// - Throws: `ModelError`, `FileError`, `LabellingError`, `ComputeError` naming the invalid input.
    package func run(progress: @escaping StudyProgress) throws -> Outcome {
        let checkpoint = try Checkpoint(folder: base)
        try MergedBase.refuse(base)
        try ModelBundle.check(checkpoint, heads: [])
        try checkStreams(over: checkpoint)
        let preparer = PatchPreparer(
            try checkpoint.preprocessing(), configuration: checkpoint.configuration, decoding: decoding)
        // The output first: if it cannot be written, that should be reported before images are read.
        let store = try StudyStore(folder: output)
        let cache = try featureCache.map { try FeatureCache($0) { _ = progress(.note($0)) } }
        var counts = (skipped: 0, done: 0)
        let total = plan.tasks.count * 2 + plan.subsets.count * plan.variants.count
        func tell(_ event: StudyEvent) throws {
            if case .skipped = event { counts.skipped += 1 }
            guard progress(event) else { throw CancellationRequested() }
        }
        do {
            try bindOptions(store, base: checkpoint)
            let pool = try WorkerPool(workers: threads)
            var reader = PictureLoader(preparer, pool: pool, limit: imageMemory)
            let material = try material(store, base: checkpoint, reader: &reader, tell)
            counts.done = known(store)
            if counts.done > 0 { try tell(.resumed(done: counts.done, of: total)) }
            func keep(_ result: StudyResult) throws {
                try store.keep(result)
                counts.done += 1
                try tell(.result(result, done: counts.done, of: total))
            }
            let measurement = StudyEvaluator(material: material, passes: passes, pool: pool)
            var clock = PassEstimate(left: cost(material, store))
            let single = try measureAlone(measurement, store, &clock, keep: keep, tell)
            let open = plan.merges.compactMap { missing($0, in: store) }
            let looks = open.contains { $0.variants.contains(where: \.usesImages) }
            let tuner = looks ? try self.tuner(material, store, reader: &reader, cache: cache, tell) : nil
            let merging = StudyMerging(job: self, measurement: measurement, tuner: tuner, single: single)
            for merge in open {
                let names = merge.tasks.map { plan.tasks[$0] }
                let method = merge.variants[0].method.name
                clock.begin(cost(merge, material))
                let results = try merging.results(merge) { images in
                    clock.pass(images)
                    try tell(.working(tasks: names, method: method, done: clock.done, left: clock.left))
                }
                clock.end()
                for result in results { try keep(result) }
            }
            return .finished(try study(material, store), skipped: counts.skipped)
        } catch is CancellationRequested {
            return .stopped(done: counts.done, of: total)
        }
    }

    /// - Throws: `ModelError` naming a variant whose streams lack what the heads over the base read.
    private func checkStreams(over base: Checkpoint) throws(ModelError) {
        guard base.configuration.classifierParts > 1,
            let variant = plan.variants.first(where: { $0.streams && !$0.aligns })
        else { return }
        throw ModelError(
            base.folder,
            "\(variant.name): heads over this base read more than the CLS token, which is all that a stream gives; "
                + "expected \(variant.aligned.name), whose heads are aligned with that alone")
    }

    /// The variants of a merge without results, or nil.
    func missing(_ merge: StudyPlan.Merge, in store: StudyStore) -> StudyPlan.Merge? {
        let names = merge.tasks.map { plan.tasks[$0] }
        let variants = merge.variants.filter { store.result($0.name, names) == nil }
        return variants.isEmpty ? nil : StudyPlan.Merge(tasks: merge.tasks, variants: variants)
    }

    /// The number of results of the plan that exist.
    private func known(_ store: StudyStore) -> Int {
        let alone = plan.tasks.reduce(0) { count, task in
            count + [Self.single, Self.headOnly].count { store.result($0, [task]) != nil }
        }
        return plan.subsets.reduce(alone) { count, tasks in
            count + plan.variants.count { store.result($0.name, tasks.map { plan.tasks[$0] }) != nil }
        }
    }

    // MARK: Each task alone

    /// Evaluates heads over the unchanged base and each adapter alone, and computes similarities.
    ///
    /// - Returns: the features that were computed of single adapters, by the index of the task.
    private func measureAlone(
        _ measurement: StudyEvaluator, _ store: StudyStore, _ clock: inout PassEstimate,
        keep: (StudyResult) throws -> Void, _ tell: Tell
    ) throws -> [Int: FeatureTable] {
        let tasks = measurement.material.tasks
        func features(_ source: some ParameterSource, _ places: [Int], _ what: String) throws
            -> StudyEvaluator.Features
        {
            clock.begin(Double(places.reduce(0) { $0 + tasks[$1].pictures.pictures.count }))
            defer { clock.end() }
            var before = 0
            return try measurement.features(source, tasks: places) { done in
                clock.pass(done - before)
                before = done
                try tell(
                    .working(tasks: places.map { tasks[$0].name }, method: what, done: clock.done, left: clock.left))
            }
        }
        if needsBase(store) {
            let seen = try features(measurement.material.base, Array(tasks.indices), Self.headOnly)
            for (place, task) in tasks.enumerated() where store.result(Self.headOnly, [task.name]) == nil {
                let masks = measurement.masks(task.head, seen, task: place)
                try keep(StudyResult(variant: Self.headOnly, tasks: [task.name], scale: 0, masks: [masks]))
            }
            try store.bind("similarities", .array(measurement.similarities(seen).map(\.json)))
        }
        var single: [Int: FeatureTable] = [:]
        for (place, task) in tasks.enumerated() where store.result(Self.single, [task.name]) == nil {
            let alone = try MergedBackbone(task.adapter, aloneOver: measurement.material.base)
            let seen = try features(alone, [place], Self.single)
            single[place] = seen.table(place)
            let masks = measurement.masks(task.adapter.head, seen, task: place)
            try keep(StudyResult(variant: Self.single, tasks: [task.name], scale: 1, masks: [masks]))
        }
        return single
    }

    func needsBase(_ store: StudyStore) -> Bool {
        store.fact("similarities") == nil || plan.tasks.contains { store.result(Self.headOnly, [$0]) == nil }
    }

    // MARK: The study

    /// The results of the plan as a study.
    private func study(_ material: StudyInputs, _ store: StudyStore) throws -> Study {
        func alone(_ variant: String, _ task: String) throws -> CorrectnessMask {
            guard let masks = store.result(variant, [task])?.masks.first else {
                throw ModelError(store.path, "no result of \(variant) for \(task)")
            }
            return masks
        }
        let measured = try zip(tasks, material.tasks).map { named, task in
            StudyTask(
                name: task.name, classes: task.adapter.head.classes.count, source: "\(named.data)",
                split: task.images.split, single: try alone(Self.single, task.name),
                headOnly: try alone(Self.headOnly, task.name))
        }
        let results = plan.subsets.flatMap { places in
            plan.variants.compactMap { store.result($0.name, places.map { plan.tasks[$0] }) }
        }
        let pairs = store.fact("similarities")?.arrayValue?.compactMap(TaskSimilarity.init) ?? []
        let names = [
            "base", "options", "calibration images of ", "adapter of ", "head of ", "training of ",
        ]
        var provenance = JSONObject()
        for name in store.factNames
        where names.contains(where: { name == $0 || ($0.hasSuffix(" ") && name.hasPrefix($0)) }) {
            provenance[name] = store.fact(name)
        }
        return Study(
            tasks: measured, variants: plan.variants.map(\.name), sizes: plan.sizes, results: results,
            similarities: pairs, provenance: .object(provenance), version: version)
    }
}
