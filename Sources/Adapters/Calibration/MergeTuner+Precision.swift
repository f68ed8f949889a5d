import Files
import VisionTransformers

extension MergeTuner {
    /// The share of images on which single adapters give the labels that they give in f32, as the mean over the tasks:
    /// what the precision of the passes costs by itself.
    ///
    /// - Parameter limit: how many images of a task are looked at, of those that are held out.
    /// - Throws: `ModelError`, `FileError`, `ComputeError`.
    package func labelsAsInF32(limit: Int = 64) throws -> Double {
        let tasks = adapters.keys.sorted()
        let exact = PassSettings(threads: passes.threads)
        let shares = try tasks.enumerated().map { index, task in
            try LongWork.part("comparing \(passes.precision) with f32", index, of: tasks.count) {
                let (reduced, images) = try singleModel(task)
                let (model, head) = (try singleModel(task, passes: exact).model, try adapter(of: task).head)
                let indices = images.indices(heldOut: true, limit: limit)
                let found = try images.features(reduced, indices)
                return Agreement(head, found, teacher: head, try images.features(model, indices)).sameLabel
            }
        }
        return shares.reduce(0, +) / Double(max(shares.count, 1))
    }
}
