import Adapters
import VisionTransformers

/// A task of a distilled merge: its images, and the single adapter that answers for them.
struct DistillationTask {
    /// The task's name.
    let name: String
    /// The head that reads both the single adapter's features and the merge's.
    let head: Head
    /// The images that are trained on, as `view` counts them.
    let images: [Int]
    /// Writes the patches of a view of an image.
    let view: CalibrationImages.View
    /// The variance of each part of the single adapter's features, summed over the part's elements.
    let variances: [Double]
    /// The variance of each of the single adapter's outputs if the head has no activation, else empty.
    var outputVariances: [Double] = []
    /// Plans the single adapter's model, which gives features.
    let teacher: () throws -> MultitaskModel
}

extension DistillationTask {
    /// The task of an adapter with the tuner's images that are not held out.
    ///
    /// - Throws: `ModelError` when the images are no use; `FileError`, `ComputeError`.
    package init(_ adapter: Adapter, _ tuner: MergeTuner) throws {
        let task = adapter.task
        let images = try tuner.images(of: task)
        let variances = try tuner.featureVariances(of: task)
        guard variances.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw ModelError(
                task, "the single adapter's features are the same for all calibration images, or not finite")
        }
        let outputs = adapter.head.activation == .identity ? try tuner.outputVariances(of: adapter.head) : []
        guard outputs.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw ModelError(
                task, "the single adapter gives all calibration images the same value, or not a finite one")
        }
        self.init(
            name: task, head: adapter.head, images: images.indices(heldOut: false), view: images.view,
            variances: variances, outputVariances: outputs, teacher: { try tuner.singleModel(task).model })
    }
}
