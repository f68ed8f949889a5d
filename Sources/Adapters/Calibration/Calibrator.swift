import Compute
import Files
import Tensors
package import VisionTransformers

/// Compares merges with the single adapters on unlabelled images: aligns heads, chooses the scale, finds groups.
///
/// What the single adapters give is computed once for each task and kept; nothing here reads a label.
package final class Calibrator {
    typealias Features = (fitted: FeatureTable, heldOut: FeatureTable)

    let base: Checkpoint
    private let adapters: [String: WeightedAdapter]
    let images: [String: CalibrationImages]
    /// What preprocessing gives.
    package let imageSize: BackboneConfiguration.Extent
    /// How many images are computed at the same time.
    package let threads: Int
    private var singles: [String: Features] = [:]

    /// A calibrator for the tasks of some adapters.
    ///
    /// - Parameters:
    ///   - images: for every adapter its task's images.
    ///   - imageSize: what preprocessing gives.
    /// - Throws: `ModelError` naming a task without images, or with too few to hold any out.
    package init(
        base: Checkpoint, adapters: [WeightedAdapter], images: [CalibrationImages],
        imageSize: BackboneConfiguration.Extent, threads: Int
    ) throws {
        self.base = base
        self.adapters = Dictionary(adapters.map { ($0.adapter.task, $0) }) { $1 }
        self.images = Dictionary(images.map { ($0.task, $0) }) { $1 }
        self.imageSize = imageSize
        self.threads = threads
        for item in adapters {
            let task = item.adapter.task
            guard let found = self.images[task] else { throw ModelError(task, "no calibration images for this task") }
            guard found.count >= 2 * CalibrationImages.holdOutEvery else {
                throw ModelError(
                    task, "\(found.count) calibration images; \(2 * CalibrationImages.holdOutEvery) are the least")
            }
        }
    }

    /// Aligns the heads of a merge's tasks, in the order of its adapters. A head that held-out images do not find
    /// better stays as it was.
    ///
    /// - Parameters:
    ///   - kept: the tasks whose heads stay as they were, if that was decided earlier.
    ///   - rank: the rank of the alignment, or nil for full.
    ///   - limit: how many fitted and how many held-out images of a task are looked at.
    /// - Throws: `ModelError`, `ComputeError`.
    package func align(
        _ merged: MergedBackbone, rank: Int? = nil, limit: Int = .max, keeping kept: Set<String>? = nil
    ) throws -> [HeadAlignment.Result] {
        try computeSingles(merged.adapters.map(\.adapter.task), limit)
        let model = try model(merged)
        return try merged.adapters.enumerated().map { index, item in
            try LongWork.part("aligning heads", index, of: merged.adapters.count) {
                let features = try features(model, item.adapter.task, limit)
                let result = try align(item.adapter.head, features, rank: rank, limit: limit)
                let isKept = kept?.contains(item.adapter.task) ?? !result.isBetter
                return isKept ? result.keeping(item.adapter.head) : result
            }
        }
    }

    func align(_ head: Head, _ merged: Features, rank: Int?, limit: Int) throws -> HeadAlignment.Result {
        try HeadAlignment(rank: rank).align(head, merged: merged, single: single(head.task, limit))
    }

    func model(_ source: MergedBackbone) throws -> MultitaskModel {
        try MultitaskModel(
            source, configuration: base.configuration, heads: [], imageSize: imageSize, threads: threads,
            outputs: .features)
    }

    func features(_ model: MultitaskModel, _ task: String, _ limit: Int) throws -> Features {
        let images = try images(of: task)
        return (
            try images.features(model, images.indices(heldOut: false, limit: limit)),
            try images.features(model, images.indices(heldOut: true, limit: limit))
        )
    }

    /// Computes what the single adapters of some tasks give, where that is not known yet: before a search, so that the
    /// time that it takes is that of the search alone.
    func computeSingles(_ tasks: [String], _ limit: Int) throws {
        for (index, task) in tasks.enumerated() {
            _ = try LongWork.part("single adapters", index, of: tasks.count) { try single(task, limit) }
        }
    }

    /// What the task's single adapter gives; computed once for each limit.
    func single(_ task: String, _ limit: Int) throws -> Features {
        let key = "\(limit) \(task)"
        if let known = singles[key] { return known }
        let (model, _) = try singleModel(task)
        let features = try features(model, task, limit)
        singles[key] = features
        return features
    }

    /// The task's single adapter as a model that gives features, and the task's images.
    ///
    /// - Throws: `ModelError` when there is no such task; `FileError`, `ComputeError`.
    package func singleModel(_ task: String) throws -> (model: MultitaskModel, images: CalibrationImages) {
        guard let item = adapters[task] else { throw ModelError(task, "no adapter of this name") }
        return (try model(MergedBackbone(item.adapter, aloneOver: base)), try images(of: task))
    }

    /// A task's images.
    ///
    /// - Throws: `ModelError` when there are none.
    package func images(of task: String) throws -> CalibrationImages {
        guard let found = images[task] else { throw ModelError(task, "no calibration images for this task") }
        return found
    }
}
