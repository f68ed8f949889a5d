import Files
import VisionTransformers

extension MergeTuner {
    /// How far the answers of a merge are from those of the single adapters, for each of its tasks that has images.
    ///
    /// - Parameter heldOut: whether only the held-out images are looked at.
    /// - Throws: `ModelError`, `ComputeError`, `CancellationRequested`.
    package func agreements(of group: BundleGroup, heldOut: Bool) throws -> [(task: String, agreement: Agreement)] {
        let shared = try group.streams == nil ? model(group.merged) : nil
        return try group.merged.adapters.enumerated().compactMap { position, item in
            let own = item.adapter.head
            guard let images = images[own.task], let index = group.heads.firstIndex(where: { $0.task == own.task })
            else { return nil }
            return try LongWork.part("measuring agreement", position, of: group.merged.adapters.count) {
                let indices = heldOut ? images.indices(heldOut: true) : Array(0..<images.count)
                let model = try shared ?? model(group.merged, stream: group.streams?[index])
                let merged = try images.features(model, indices)
                let single = try single(own.task).tables([indices])[0]
                return (own.task, Agreement(group.heads[index], merged, teacher: own, single))
            }
        }
    }
}
