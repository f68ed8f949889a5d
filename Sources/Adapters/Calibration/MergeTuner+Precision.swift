import Compute
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
        let shares = try tasks.enumerated().map { index, task in
            try LongWork.part("comparing \(passes.precision) with f32", index, of: tasks.count) {
                let (images, head) = (try images(of: task), try adapter(of: task).head)
                let indices = images.indices(heldOut: true, limit: limit)
                let found = try single(task).tables([indices])[0]
                let exact = try single(task, precision: .f32).tables([indices])[0]
                return Agreement(head, found, teacher: head, exact).sameLabel
            }
        }
        return shares.reduce(0, +) / Double(max(shares.count, 1))
    }
}
