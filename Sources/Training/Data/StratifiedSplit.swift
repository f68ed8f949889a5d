import Datasets
import Tensors

/// Holds back a share of the images of every class for validation.
enum StratifiedSplit {
    /// Splits items. The same seed and items give the same parts, both in the order of the items.
    ///
    /// Of a class with n images, n · fraction rounded are held back, at least 1 and at most n - 1. A class's only image
    /// is a training image.
    static func split(
        _ items: [LabelledImages.Item], classes: Int, fraction: Double, seed: UInt64
    ) -> (training: [LabelledImages.Item], validation: [LabelledImages.Item]) {
        var imagesByClass = [[Int]](repeating: [], count: classes)
        for (index, item) in items.enumerated() { imagesByClass[item.class].append(index) }
        var isHeldBack = [Bool](repeating: false, count: items.count)
        for (label, own) in imagesByClass.enumerated() where own.count > 1 {
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

extension StratifiedSplit {
    /// Splits images that may show several labels. The same seed and items give the same parts, both in the order of
    /// the items.
    ///
    /// Labels are processed from the rarest to the most common. Of a label with n images, n · fraction rounded are held
    /// back, at least 1 and at most n - 1, including those already held back for a rarer label. The others are drawn
    /// first from images without a rarer label. The last training image of a label is never held back. Images without
    /// labels are processed last, as if they had a label of their own.
    static func split(
        _ items: [LabelledImages.Item], sets: [[Int]], classes: Int, fraction: Double, seed: UInt64
    ) -> (training: [LabelledImages.Item], validation: [LabelledImages.Item]) {
        // The last index stands for images without labels.
        let labels = items.map { sets[$0.class].isEmpty ? [classes] : sets[$0.class] }
        var imagesByClass = [[Int]](repeating: [], count: classes + 1)
        for (index, own) in labels.enumerated() { for label in own { imagesByClass[label].append(index) } }
        var isHeldBack = [Bool](repeating: false, count: items.count)
        var heldBack = [Int](repeating: 0, count: classes + 1)
        var hadTurn = [Bool](repeating: false, count: classes + 1)
        let order = (0..<classes).sorted { (imagesByClass[$0].count, $0) < (imagesByClass[$1].count, $1) } + [classes]
        for label in order where imagesByClass[label].count > 1 {
            let own = imagesByClass[label]
            let wanted = min(max(Int((Double(own.count) * fraction).rounded()), 1), own.count - 1)
            var generator = SplitMix64.split(seed: seed, class: label)
            let drawn = generator.permutation(own.count).map { own[$0] }
            let isRarest = { (image: Int) in labels[image].allSatisfy { $0 == label || !hadTurn[$0] } }
            hadTurn[label] = true
            for image in drawn.filter(isRarest) + drawn.filter({ !isRarest($0) }) where heldBack[label] < wanted {
                guard !isHeldBack[image], labels[image].allSatisfy({ heldBack[$0] + 1 < imagesByClass[$0].count })
                else {
                    continue
                }
                isHeldBack[image] = true
                for shown in labels[image] { heldBack[shown] += 1 }
            }
        }
        let indices = items.indices
        return (
            indices.filter { !isHeldBack[$0] }.map { items[$0] }, indices.filter { isHeldBack[$0] }.map { items[$0] }
        )
    }
}
