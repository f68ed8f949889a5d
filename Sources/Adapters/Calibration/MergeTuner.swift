package import Compute
import Files
package import Images
import Tensors
package import VisionTransformers

/// Merges adapters and compares the results with the single adapters on calibration images: measures layer inputs for
/// methods that use them, chooses the scale, groups tasks, aligns heads.
///
/// What a single adapter gives of an image is computed once, in a pass that is made for something else if there is one,
/// or read from a cache. Labels are read only of tasks whose images have classes.
package final class MergeTuner {
    typealias Features = (fitted: FeatureTable, heldOut: FeatureTable)

    let base: Checkpoint
    let adapters: [String: WeightedAdapter]
    let images: [String: CalibrationImages]
    /// The size of preprocessed images.
    package let imageSize: ImageSize
    /// How passes over images are computed.
    package let passes: PassSettings
    private let cache: FeatureCache?
    /// What the single adapters give, by task and precision.
    private var singles: [String: ImageFeatures] = [:]
    private var moments: [String: [String: Matrix]] = [:]

    /// A tuner for the tasks of some adapters.
    ///
    /// - Parameters:
    ///   - images: for every adapter its task's images.
    ///   - imageSize: the size of preprocessed images.
    ///   - cache: where the single adapters' features are kept; nil for nowhere.
    ///   - choosing: whether anything is chosen on held-out images, which takes some.
    /// - Throws: `ModelError` naming a task without images, or with too few to hold any out.
    package init(
        base: Checkpoint, adapters: [WeightedAdapter], images: [CalibrationImages],
        imageSize: ImageSize, passes: PassSettings, cache: FeatureCache? = nil, choosing: Bool = true
    ) throws {
        (self.base, self.cache) = (base, cache)
        self.adapters = Dictionary(adapters.map { ($0.adapter.task, $0) }) { $1 }
        self.images = Dictionary(images.map { ($0.task, $0) }) { $1 }
        self.imageSize = imageSize
        self.passes = passes
        for item in adapters where choosing {
            let task = item.adapter.task
            let count = try self.images(of: task).count
            guard count >= 2 * ImageGroups.holdOutEvery else {
                guard count > 0 else {
                    throw ModelError(
                        task, "no calibration images, which every task needs if one has some",
                        remedy: AdapterRemedy.giveImages)
                }
                throw ModelError(
                    task, "\(count) calibration images; at least \(2 * ImageGroups.holdOutEvery) are needed")
            }
        }
    }

    /// A tuner of the same adapters and images that computes in other numbers, with what this one has computed.
    private init(_ other: MergeTuner, precision: OperandType) {
        (base, adapters, images, imageSize) = (other.base, other.adapters, other.images, other.imageSize)
        (cache, singles) = (other.cache, other.singles)
        passes = PassSettings(threads: other.passes.threads, precision: precision)
    }

    /// A tuner of the same adapters and images that computes in other numbers. What single adapters gave in these
    /// numbers is not computed again.
    package func computing(in precision: OperandType) -> MergeTuner { MergeTuner(self, precision: precision) }

    /// Merges some of the adapters by a method, which is given the moments of layer inputs if it uses them.
    ///
    /// The moments are measured once for each task and set of modules.
    ///
    /// - Throws: as `MergedBackbone.init` and `inputMoments`.
    package func merge(_ adapters: [WeightedAdapter], by method: ConfiguredMethod) throws -> MergedBackbone {
        try MergedBackbone(base: base, adapters: adapters, merge: method) { task, modules in
            let key = ([task] + modules.sorted()).joined(separator: "/")
            if let moments = moments[key] { return moments }
            let measured = try inputMoments(of: task, modules: modules)
            moments[key] = measured
            return measured
        }
    }

    /// Aligns the heads of a merge's tasks, in the order of its adapters. A head that alignment does not make better on
    /// held-out images stays as it was.
    ///
    /// - Parameters:
    ///   - streams: the streams that the heads read, in the order of the adapters, or nil.
    ///   - rank: the rank of the alignment, or nil for full.
    ///   - limit: how many fitted and how many held-out images of a task are used.
    ///   - unaligned: the tasks whose heads stay as they were, if that was decided earlier.
    ///   - summarized: the tasks whose results say what the merge made of all images, for fits.
    ///   - progress: told after every task how many images passed the merge; an error that it throws ends the work.
    /// - Throws: `ModelError`, `ComputeError`.
    package func align(
        _ merged: MergedBackbone, streams: [TaskStream]? = nil, rank: Int? = nil, limit: Int = .max,
        leaving unaligned: Set<String>? = nil, summarizing summarized: Set<String> = [],
        progress: (_ images: Int) throws -> Void = { _ in }
    ) throws -> [HeadAlignment.Result] {
        try computeSingles(merged.adapters.map(\.adapter.task), limit)
        let shared = try streams == nil ? model(merged) : nil
        return try merged.adapters.enumerated().map { index, item in
            try LongWork.part("aligning heads", index, of: merged.adapters.count) {
                let (task, head) = (item.adapter.task, item.adapter.head)
                let model = try shared ?? model(merged, stream: streams?[index])
                var seen: CalibrationImages.Tables?
                if streams == nil, limit == .max, summarized.contains(task) {
                    seen = try images(of: task).featuresAndSummaries(model)
                }
                let features = try seen.map { try split($0.features, task) } ?? features(model, task, limit)
                try progress(features.fitted.rows + features.heldOut.rows)
                var result = try align(head, features, rank: rank, limit: limit)
                result.seen = seen
                return unaligned?.contains(task) ?? !result.isBetter ? result.keepingOwn : result
            }
        }
    }

    func align(_ head: Head, _ merged: Features, rank: Int?, limit: Int) throws -> HeadAlignment.Result {
        try HeadAlignment(rank: rank).align(head, merged: merged, single: single(head.task, limit))
    }

    func model(
        _ source: MergedBackbone, stream: TaskStream? = nil
    ) throws -> MultitaskModel {
        try Self.model(source, over: base, imageSize: imageSize, passes: passes, stream: stream)
    }

    private static func model(
        _ source: MergedBackbone, over base: Checkpoint, imageSize: ImageSize, passes: PassSettings,
        stream: TaskStream? = nil
    ) throws -> MultitaskModel {
        try MultitaskModel(
            source, configuration: base.configuration, imageSize: imageSize, passes: passes, outputs: .features,
            streams: stream.map { TaskStreams(base: base, streams: [$0]) })
    }

    /// The features of all of a task's images as those of the images that are fitted and of those that are held out.
    private func split(_ table: FeatureTable, _ task: String) throws -> Features {
        let images = try images(of: task)
        return (
            table.selecting(images.indices(heldOut: false)), table.selecting(images.indices(heldOut: true))
        )
    }

    func features(_ model: MultitaskModel, _ task: String, _ limit: Int) throws -> Features {
        let images = try images(of: task)
        return (
            try images.features(model, images.indices(heldOut: false, limit: limit)),
            try images.features(model, images.indices(heldOut: true, limit: limit))
        )
    }

    /// Computes the features of the single adapters of some tasks that are not known yet: before a search, so that its
    /// progress measures the search alone.
    func computeSingles(_ tasks: [String], _ limit: Int) throws {
        for (index, task) in tasks.enumerated() {
            _ = try LongWork.part("single adapters", index, of: tasks.count) { try single(task, limit) }
        }
    }

    /// The features that the task's single adapter gives of the images that are fitted and of those that are held out.
    func single(_ task: String, _ limit: Int) throws -> Features {
        let images = try images(of: task)
        let tables = try single(task).tables([false, true].map { images.indices(heldOut: $0, limit: limit) })
        return (tables[0], tables[1])
    }

    /// The features that the task's single adapter gives.
    ///
    /// - Parameter precision: in which numbers it computes; nil as the tuner.
    func single(_ task: String, precision: OperandType? = nil) throws -> ImageFeatures {
        var passes = passes
        passes.precision = precision ?? passes.precision
        let key = "\(passes.precision) \(task)"
        if let features = singles[key] { return features }
        let cached = try cache.map {
            ($0, try FeatureCache.Source(base, adapter(of: task), imageSize: imageSize, passes: passes))
        }
        let alone = try MergedBackbone(adapter(of: task), aloneOver: base)
        let features = try ImageFeatures(images(of: task), cached) { [base, imageSize, passes] in
            try Self.model(alone, over: base, imageSize: imageSize, passes: passes)
        }
        singles[key] = features
        return features
    }

    /// Keeps the features that a task's single adapter gave of all its images.
    func keep(_ features: FeatureTable, of task: String) throws {
        try single(task).keep(features, of: Array(0..<features.rows))
    }

    /// The task's single adapter as a model that gives features, and the task's images.
    ///
    /// - Throws: `ModelError` when there is no such task; `FileError`, `ComputeError`.
    package func singleModel(_ task: String) throws -> (model: MultitaskModel, images: CalibrationImages) {
        (try model(MergedBackbone(adapter(of: task), aloneOver: base)), try images(of: task))
    }

    /// A task's adapter.
    ///
    /// - Throws: `ModelError` when there is none.
    func adapter(of task: String) throws -> Adapter {
        guard let item = adapters[task] else { throw ModelError(task, "no adapter of this name") }
        return item.adapter
    }

    /// A task's images.
    ///
    /// - Throws: `ModelError` when there are none.
    package func images(of task: String) throws -> CalibrationImages {
        guard let images = images[task] else { throw ModelError(task, "no calibration images for this task") }
        return images
    }
}
