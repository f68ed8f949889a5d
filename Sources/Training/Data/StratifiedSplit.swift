import Datasets
import Tensors

/// Holds back a part of the images of every class for validation.
enum StratifiedSplit {
    /// Splits items; the same seed and items give the same parts, both in the order of the items.
    ///
    /// Of a class with n images, n · fraction rounded are held back, at least 1 and at most n - 1; a single image is
    /// trained on.
    static func split(
        _ items: [LabelledImages.Item], classes: Int, fraction: Double, seed: UInt64
    ) -> (training: [LabelledImages.Item], validation: [LabelledImages.Item]) {
        var places = [[Int]](repeating: [], count: classes)
        for (index, item) in items.enumerated() { places[item.class].append(index) }
        var isHeldBack = [Bool](repeating: false, count: items.count)
        for (label, own) in places.enumerated() where own.count > 1 {
            var generator = SplitMix64.split(seed: seed, class: label)
            let count = min(max(Int((Double(own.count) * fraction).rounded()), 1), own.count - 1)
            for place in generator.permutation(own.count).prefix(count) { isHeldBack[own[place]] = true }
        }
        let indices = items.indices
        return (
            indices.filter { !isHeldBack[$0] }.map { items[$0] }, indices.filter { isHeldBack[$0] }.map { items[$0] }
        )
    }
}
